//! JSON objects of which no name is lost: of two that are the same, nobody knows which one was meant.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

/// An object, and the names that came twice.
pub(super) struct Object<V> {
    /// The last value of each name.
    pub(super) fields: BTreeMap<String, V>,
    /// Each as often as it came again.
    pub(super) twice: Vec<String>,
}

/// The values of an object whose names all differ; `None`: it is none.
pub(super) fn distinct<V: DeserializeOwned>(json: &str) -> Option<BTreeMap<String, V>> {
    let object: Object<V> = serde_json::from_str(json).ok()?;
    object.twice.is_empty().then_some(object.fields)
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Object<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for ObjectVisitor<V> {
            type Value = Object<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<V>, M::Error> {
                let mut object = Object { fields: BTreeMap::new(), twice: Vec::new() };
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if object.fields.insert(name.clone(), value).is_some() {
                        object.twice.push(name);
                    }
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}
