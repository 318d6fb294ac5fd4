//! JSON in one form: the same for the same values, with any white space and in any order of names.
//!
//! Numbers stay as they were written, so that two that differ in their last digit differ here too.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep values are put in order; a value that lies deeper counts as it was written. Each level is read once more.
const MAX_DEPTH: usize = 32;

/// Appends a value in its one form.
pub(super) fn write(value: &RawValue, out: &mut String) {
    write_at(value.get(), MAX_DEPTH, out);
}

fn write_at(text: &str, depth: usize, out: &mut String) {
    if depth > 0 {
        match text.as_bytes().first() {
            Some(b'{') => {
                if let Ok(Pairs(mut pairs)) = serde_json::from_str(text) {
                    // A stable sort: of a name that comes twice, the order tells.
                    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
                    out.push('{');
                    for (name, value) in pairs {
                        write_string(&name, out);
                        out.push(':');
                        write_at(value.get(), depth - 1, out);
                        out.push(',');
                    }
                    out.push('}');
                    return;
                }
            }
            Some(b'[') => {
                if let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(text) {
                    out.push('[');
                    for value in values {
                        write_at(value.get(), depth - 1, out);
                        out.push(',');
                    }
                    out.push(']');
                    return;
                }
            }
            Some(b'"') => {
                if let Ok(string) = serde_json::from_str::<String>(text) {
                    write_string(&string, out);
                    return;
                }
            }
            Some(_) | None => {}
        }
    }
    out.push_str(text);
}

fn write_string(string: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(string).unwrap_or_default());
}

/// The names and values of an object, in their order.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'de>, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry::<String, &'de RawValue>()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, same: bool) {
        let form = |text: &str| {
            let mut out = String::new();
            write(&RawValue::from_string(text.to_owned()).unwrap(), &mut out);
            out
        };
        assert_eq!(form(one) == form(other), same, "{one} {other}");
    }

    #[test]
    fn order_and_white_space_do_not_tell() {
        check(r#"{"a":1,"b":[1, {"c":2,"d":3}]}"#, r#"{ "b":[1,{"d":3,"c":2}],"a":1 }"#, true);
        check(r#""\u0061""#, r#""a""#, true);
        check("[1,2]", "[2,1]", false);
        check("{}", "[]", false);
    }

    #[test]
    fn everything_else_does() {
        check("12345678901234567890123", "12345678901234567890124", false);
        check("1e400", "1e401", false);
        check(r#""\ud800""#, r#""\ud801""#, false);
        check(r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#, false);
        let deep = |last: &str| format!("{}{last}{}", "[".repeat(5_000), "]".repeat(5_000));
        check(&deep("1"), &deep("2"), false);
        check(&deep("1"), &deep("1"), true);
    }
}
