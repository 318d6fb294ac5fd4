//! Lease tokens: a worker shows one to report on a job that it claimed.
//!
//! A token says what its lease was given for, so that a heartbeat is one write and no read. It holds only as a whole: it is
//! compared with the one that is stored, so who changes a word of it has none.

use std::fmt;

use uuid::Uuid;

use super::{Invalid, Timestamp, TypeName};

/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 192;
/// Says that the job holds one of its type's slots.
const SLOT: &str = "s";
/// Says that it holds none.
const FREE: &str = "f";

/// The terms that a lease was given on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whether the claim took one of its type's slots.
    pub holds_slot: bool,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// How long it holds after each report, in seconds.
    pub seconds: u32,
    /// When the try must have ended; `None`: it may go on as long as it is reported on.
    pub deadline: Option<Timestamp>,
    /// The kind of work.
    pub kind: TypeName,
}

impl Terms {
    /// Until when a lease holds that is renewed now, for these seconds.
    pub fn until(&self, now: Timestamp, seconds: u32) -> Timestamp {
        let renewed = now.plus_millis(i64::from(seconds) * 1_000);
        self.deadline.map_or(renewed, |deadline| deadline.min(renewed))
    }
}

/// A lease token. Anybody who has it may report, so it is not written to any log.
#[derive(Clone, PartialEq, Eq)]
pub struct LeaseToken {
    text: String,
    terms: Terms,
}

impl LeaseToken {
    /// A token for these terms, which nobody can guess if `secret` is chance.
    pub fn new(terms: Terms, secret: Uuid) -> Self {
        let Terms { holds_slot, attempt, seconds, deadline, kind } = &terms;
        let flag = if *holds_slot { SLOT } else { FREE };
        let deadline = deadline.map_or(0, Timestamp::millis);
        // The type is last, because it may have dots itself.
        let text = format!("{flag}.{attempt}.{seconds}.{deadline}.{}.{kind}", secret.simple());
        Self { text, terms }
    }

    /// The text that is sent and stored.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The terms that it was given on, as it says itself.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }
}

impl TryFrom<String> for LeaseToken {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let terms = (text.len() <= MAX_TOKEN_BYTES).then(|| terms(&text)).flatten();
        let terms = terms.ok_or_else(|| Invalid::new("must be the lease_token that a claim answered"))?;
        Ok(Self { text, terms })
    }
}

fn terms(text: &str) -> Option<Terms> {
    let mut words = text.splitn(6, '.');
    let holds_slot = match words.next()? {
        SLOT => true,
        FREE => false,
        _ => return None,
    };
    let attempt = words.next()?.parse().ok()?;
    let seconds = words.next()?.parse().ok()?;
    let deadline: i64 = words.next()?.parse().ok()?;
    Uuid::try_parse(words.next()?).ok()?;
    let deadline = (deadline != 0).then_some(Timestamp::from_millis(deadline));
    let kind = TypeName::try_from(words.next()?).ok()?;
    Some(Terms { holds_slot, attempt, seconds, deadline, kind })
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseToken").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// How tries end that no report ended, in the words that programs can tell.
pub mod code {
    /// Nothing was reported in time.
    pub const LEASE_EXPIRED: &str = "lease_expired";
    /// The try took longer than it may.
    pub const TIMEOUT: &str = "timeout";
    /// Its worker gave it back.
    pub const HANDED_BACK: &str = "handed_back";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tokens_come_back_with_their_terms(
            (holds_slot, attempt, seconds, deadline) in (any::<bool>(), any::<u32>(), 10_u32..=900, 1_i64..4_000_000_000_000),
            has_deadline in any::<bool>(),
            secret in any::<u128>(),
        ) {
            let deadline = has_deadline.then_some(Timestamp::from_millis(deadline));
            let kind = TypeName::try_from("a.b:c").unwrap();
            let terms = Terms { holds_slot, attempt, seconds, deadline, kind };
            let token = LeaseToken::new(terms, Uuid::from_u128(secret));
            let read = LeaseToken::try_from(token.as_str().to_owned()).unwrap();
            prop_assert_eq!(read.terms(), token.terms());
            prop_assert_eq!(&read, &token);
            let shown = format!("{token:?}");
            prop_assert!(!shown.contains(&Uuid::from_u128(secret).simple().to_string()));
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".{0,140}") {
            drop(LeaseToken::try_from(text));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let secret = Uuid::from_u128(1).simple();
        for bad in ["", "x", "f.1.60.0", "f.1.60.0.", "f.1.60.0.1", "f.1.60.0.1.scrape"]
            .map(str::to_owned)
            .into_iter()
            .chain([
                format!("q.1.60.0.{secret}.scrape"),
                format!("f.-1.60.0.{secret}.scrape"),
                format!("f.1.60.0.{secret}"),
                format!("f.1.60.0.{secret}."),
                format!("f.1.60.x.{secret}.scrape"),
                format!("f.1.60.0.{secret}.{}", "0".repeat(200)),
            ])
        {
            assert!(LeaseToken::try_from(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_lease_ends_with_its_try() {
        let at = Timestamp::from_millis;
        let kind = TypeName::try_from("scrape").unwrap();
        let terms = Terms { holds_slot: false, attempt: 1, seconds: 60, deadline: Some(at(90_000)), kind };
        assert_eq!(terms.until(at(0), 60), at(60_000));
        assert_eq!(terms.until(at(40_000), 60), at(90_000));
        assert_eq!(Terms { deadline: None, ..terms }.until(at(40_000), 900), at(940_000));
    }
}
