//! Cursors: where a list goes on, opaque to callers, bound to the list that gave them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::domain::{Fingerprint, Invalid, JobQuery, Order, SortBy};

/// The present form; a cursor of another version is refused, not guessed at.
const VERSION: u8 = 2;
/// Longest cursor that is looked at.
const MAX_BYTES: usize = 512;

/// The place where a list goes on: after the row with this sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The sort key of the last row that was shown.
    pub after: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    v: u8,
    q: String,
    k: String,
}

impl Cursor {
    /// The text that goes out, bound to the query.
    pub fn encode(&self, query: &JobQuery) -> String {
        self.seal(&said(query))
    }

    /// Reads a text that came back; it must have come from the same query.
    pub fn decode(text: &str, query: &JobQuery) -> Result<Self, Invalid> {
        let cursor = Self::unseal(text, &said(query))?;
        let created = match query.sort {
            SortBy::Created => cursor.after.as_str(),
            SortBy::Updated | SortBy::Completed | SortBy::Priority => {
                let (number, created) = cursor.after.split_once('#').ok_or_else(wrong)?;
                if !number.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(wrong());
                }
                created
            }
        };
        let (time, id) = created.split_once('#').ok_or_else(wrong)?;
        let whole = crate::domain::Timestamp::parse(time).is_ok_and(|parsed| parsed.to_string() == time)
            && crate::domain::JobId::try_from(id).is_ok_and(|parsed| parsed.to_string() == id);
        if whole { Ok(cursor) } else { Err(wrong()) }
    }

    /// The text that goes out, bound to a list that this tells from all others.
    pub fn seal(&self, list: &str) -> String {
        let token = Token { v: VERSION, q: binding(list), k: self.after.clone() };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }

    /// Reads a text that came back; it must have come from the same list. The place itself is anything but nothing.
    pub fn unseal(text: &str, list: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_BYTES {
            return Err(wrong());
        }
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let token: Token = serde_json::from_slice(&json).map_err(|_| wrong())?;
        if token.v != VERSION || token.k.is_empty() {
            return Err(wrong());
        }
        if token.q != binding(list) {
            return Err(Invalid::new("belongs to a list with other filters; begin again without one"));
        }
        Ok(Self { after: token.k })
    }
}

fn wrong() -> Invalid {
    Invalid::new("must be a next_cursor of this service; begin again without one")
}

/// The text that tells one list of jobs from another.
fn said(query: &JobQuery) -> String {
    // The time is that of each call.
    let JobQuery { owner, types, statuses, created, filter, sort, order, at: _ } = query;
    let order = match order {
        Order::Asc => "asc",
        Order::Desc => "desc",
    };
    let (from, to) = (created.from(), created.to());
    format!("{owner}\n{types:?}\n{statuses:?}\n{from}\n{to}\n{filter:?}\n{sort:?}\n{order}")
}

fn binding(list: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Fingerprint::of(list.as_bytes()).bytes()[..9])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Owner, Status, Timestamp, TypeName};

    fn query(kind: &str) -> JobQuery {
        JobQuery {
            types: BTreeSet::from([TypeName::try_from(kind).unwrap()]),
            statuses: BTreeSet::from([Status::Failed]),
            ..JobQuery::all(Owner::try_from("a").unwrap())
        }
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went(millis in 0_i64..4_000_000_000_000, id: u128) {
            let key = format!("{}#{}", Timestamp::from_millis(millis), uuid::Uuid::from_u128(id));
            let cursor = Cursor { after: key };
            prop_assert_eq!(Cursor::decode(&cursor.encode(&query("x")), &query("x")), Ok(cursor));
        }

        #[test]
        fn garbage_is_refused(text: String) {
            prop_assert!(Cursor::decode(&text, &query("x")).is_err());
        }
    }

    #[test]
    fn a_cursor_is_bound_to_its_filters_and_owner() {
        let after = "2026-01-11T05:00:00.000Z#01981b5e-7c3a-7000-8000-000000000001".to_owned();
        let text = Cursor { after }.encode(&query("x"));
        assert!(Cursor::decode(&text, &query("y")).is_err());
        assert!(Cursor::decode(&text, &JobQuery { order: Order::Asc, ..query("x") }).is_err());
        assert!(
            Cursor::decode(&text, &JobQuery { owner: Owner::try_from("b").unwrap(), ..query("x") }).is_err()
        );
        assert!(Cursor::decode(&text, &JobQuery { statuses: BTreeSet::new(), ..query("x") }).is_err());
    }
}
