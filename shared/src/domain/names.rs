//! Names: each a type of its own, made only from a text that fits.
//!
//! Ids and words of programs are taken as they are, byte by byte, or refused. Texts that people write and read are kept
//! in one spelling (see [`spelling`]).

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Invalid, spelling};

/// Makes a newtype over `String` whose only ways in are those below.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, spelled: $max:expr) => {
        name!(@text $(#[$doc])* $name, |text| spelling::shown(&text, $max));

        impl $name {
            /// The text as it was stored, spelled as it is there: a text that was kept once stays readable, and the
            /// same.
            pub fn of_store(text: String) -> Result<Self, Invalid> {
                printable(&text, $max)?;
                Ok(Self(text))
            }

            /// As much of a text as fits, for texts that only tell. `None`: the text shows nothing.
            pub fn told(text: &str) -> Option<Self> {
                spelling::told(text, $max).map(Self)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        name!(@text $(#[$doc])* $name, |text| {
            let check: fn(&str) -> Result<(), Invalid> = $check;
            check(&text)?;
            Ok(text)
        });
    };
    (@text $(#[$doc:meta])* $name:ident, $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                let read: fn(String) -> Result<String, Invalid> = $read;
                read(text).map(Self)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Invalid;

            fn try_from(text: &str) -> Result<Self, Invalid> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

/// Stands for the records without a status, where all statuses are told.
pub const NO_STATUS: &str = "none";
/// Longest id of a record, in bytes.
const MAX_RECORD_ID_BYTES: usize = 1_900;

name! {
    /// A tenant: every job belongs to one. `*` is kept for the sum of all.
    Owner, |text| word(text, 64)
}
name! {
    /// The kind of a job's work, as its caller names it.
    TypeName, |text| word(text, 64)
}
name! {
    /// The caller's own id for a job, unique within the owner: compared byte by byte and never changed.
    ExternalId, |text| printable(text, 128)
}
name! {
    /// The caller's `Idempotency-Key`: compared byte by byte and never changed.
    IdempotencyKey, |text| printable(text, 255)
}
name! {
    /// A job's name for people, say a file name: in one spelling.
    JobName, spelled: 200
}
name! {
    /// A finer word for `running`, such as `transcoding`.
    Phase, |text| word(text, 64)
}
name! {
    /// The name of a worker that claims jobs, as it calls itself.
    WorkerId, |text| word(text, 64)
}
name! {
    /// The kind of an error, in a word that programs can tell.
    ErrorCode, |text| word(text, 64)
}
name! {
    /// The present task of a job, for people: a step of it, say. In one spelling.
    TaskName, spelled: 200
}
name! {
    /// The kind of a record, as its caller names it: `source`, say.
    RecordKind, |text| word(text, 64)
}
name! {
    /// The caller's own id for a record, unique within owner and kind.
    RecordId, |text| {
        printable(text, 512)?;
        // The key of an item ends at 2,048 bytes, and owner and kind are in it, too.
        if text.len() > MAX_RECORD_ID_BYTES {
            return Err(Invalid(format!("must be at most {MAX_RECORD_ID_BYTES} bytes of UTF-8")));
        }
        // Clients take these out of a path, and bytes that are no UTF-8 in one are read as that character.
        if [".", ".."].contains(&text) || text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Invalid::new("must be UTF-8, percent-encoded in the path, and not . or .."));
        }
        Ok(())
    }
}
name! {
    /// How a record stands, as its caller names it.
    RecordStatus, |text| match text {
        NO_STATUS => Err(Invalid::new("must not be none, which stands for no status: leave it out")),
        _ => word(text, 64),
    }
}
name! {
    /// The trace that a job came from: 32 hexadecimal digits of a W3C `traceparent`.
    TraceId, |text| {
        let hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && text.bytes().any(|b| b != b'0') { Ok(()) } else { Err(Invalid::new("must be 32 hex digits")) }
    }
}

impl TraceId {
    /// The trace of a `traceparent` header; `None` where it is not one of version 00.
    pub fn of_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let whole = version == "00" && parent.len() == 16 && flags.len() == 2 && parts.next().is_none();
        if whole { Self::try_from(trace).ok() } else { None }
    }
}

impl TraceId {
    /// The trace of an `X-Amzn-Trace-Id` header: `Root=1-5759e988-bd862e3fe1be46a994272793`, among other fields.
    pub fn of_xray(header: &str) -> Option<Self> {
        let root = header.split(';').find_map(|field| field.trim().strip_prefix("Root="))?;
        let (time, rest) = root.strip_prefix("1-")?.split_once('-')?;
        let whole = time.len() == 8 && rest.len() == 24;
        if whole { Self::try_from(format!("{time}{rest}").as_str()).ok() } else { None }
    }
}

/// Letters, digits, `_`, `-`, `.` and `:`, the first a letter or a digit: safe in keys, labels and paths.
fn word(text: &str, max: usize) -> Result<(), Invalid> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b));
    if first && rest && text.len() <= max {
        Ok(())
    } else {
        Err(Invalid(format!(
            "must be 1 to {max} letters, digits, '_', '-', '.' or ':', the first a letter or a digit"
        )))
    }
}

/// Any text without control characters that is not blank at either end.
fn printable(text: &str, max: usize) -> Result<(), Invalid> {
    let fits = !text.is_empty() && text.chars().count() <= max;
    if fits && text.trim() == text && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Invalid(format!(
            "must be 1 to {max} characters, without control characters or blanks at its ends"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_nothing_that_means_something_in_a_key() {
        for good in ["scrape", "video.transcode", "A-1_b:c", "0"] {
            assert!(TypeName::try_from(good).is_ok(), "{good}");
        }
        let long = "x".repeat(65);
        for bad in ["", "*", "a#b", "a/b", "a b", "-a", "ä", "a\n", long.as_str()] {
            assert!(TypeName::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn printable_texts_are_counted_in_characters() {
        assert!(ExternalId::try_from("ä".repeat(128)).is_ok());
        for bad in [String::new(), " a".into(), "a\u{7}b".into(), "ä".repeat(129)] {
            assert!(ExternalId::try_from(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_for_people_have_one_spelling_and_ids_that_of_their_maker() {
        let name = |text: &str| JobName::try_from(text).unwrap();
        assert_eq!(name(" cafe\u{301}.MP4\n").as_str(), "café.MP4");
        assert_eq!(name("café"), name("cafe\u{301}"));
        assert_eq!(TaskName::try_from("cafe\u{301}"), TaskName::try_from("café"));
        let id = |text: &str| ExternalId::try_from(text).unwrap();
        assert_eq!(id("cafe\u{301}").as_str(), "cafe\u{301}");
        assert_ne!(id("cafe\u{301}"), id("café"));
        // Slashes and emoji are as good as any.
        for odd in ["a/b/../c", "🦀", "👩\u{200d}💻/%2F?#", "a\u{202e}b"] {
            assert_eq!(id(odd).as_str(), odd);
        }
    }

    #[test]
    fn what_is_stored_is_read_as_it_stands() {
        for stored in ["cafe\u{301}", "a\u{202e}b", "\u{feff}x"] {
            assert_eq!(JobName::of_store(stored.to_owned()).unwrap().as_str(), stored);
        }
        for broken in ["", " x", "a\u{7}b"] {
            assert!(JobName::of_store(broken.to_owned()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_records_id_is_nearly_any_text_and_its_status_is_not_none() {
        let emoji = "\u{1f600}".repeat(475);
        for good in ["a", "s3://b/a b#c?d=%", "%2F", "...", "a/../b", "ä", &"x".repeat(512), &emoji] {
            assert!(RecordId::try_from(good).is_ok(), "{good}");
        }
        let emoji = "\u{1f600}".repeat(476);
        for bad in ["", " a", "a\n", ".", "..", "a\u{fffd}", &"x".repeat(513), &emoji] {
            assert!(RecordId::try_from(bad).is_err(), "{bad}");
        }
        assert!(RecordStatus::try_from("None").is_ok());
        for bad in ["none", "", "a b", "a#b"] {
            assert!(RecordStatus::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_header_of_xray_gives_its_trace() {
        let of = |header| TraceId::of_xray(header).map(|trace| trace.as_str().to_owned());
        let trace = Some("5759e988bd862e3fe1be46a994272793".to_owned());
        assert_eq!(of("Root=1-5759e988-bd862e3fe1be46a994272793"), trace);
        assert_eq!(
            of("Self=1-x;Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"),
            trace
        );
        for bad in ["", "Root=", "Root=2-5759e988-bd862e3fe1be46a994272793", "Root=1-5759e988", "Root=1-0-0"]
        {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_traceparent_gives_its_trace() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceId::of_traceparent(header).unwrap().as_str(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in ["", "00-xyz", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "garbage-a-b-c"]
        {
            assert_eq!(TraceId::of_traceparent(bad), None, "{bad}");
        }
    }
}
