//! Texts in paths that may hold anything, slashes too.

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::domain::{Invalid, RESERVED};

/// How often a text in a path may be encoded.
const MAX_ENCODINGS: usize = 8;

/// A text of a path, decoded until nothing in it is encoded any more.
///
/// A proxy between a caller and a function may have decoded it, and there is no telling how often: the local stack does
/// not, and API Gateway's HTTP APIs do so twice. So a text means the same however often that was done, and none has a
/// `%` with two hexadecimal digits behind it.
pub fn decoded(text: &str) -> Result<String, Invalid> {
    let mut text = text.to_owned();
    for _ in 0..MAX_ENCODINGS {
        let decoded = percent_decode_str(&text).decode_utf8();
        let decoded = decoded.map_err(|_| Invalid::new("must be UTF-8, percent-encoded"))?;
        if decoded == text {
            return Ok(text);
        }
        text = decoded.into_owned();
    }
    Err(Invalid(format!("must be percent-encoded at most {} times", MAX_ENCODINGS - 1)))
}

/// A text as it stands in a path, for [`decoded`]. API Gateway ends a path at a `?` after it has decoded once, and refuses
/// it where it then cannot be decoded again: so `?` and `%` are encoded twice.
pub fn encoded(text: &str) -> String {
    let encoded = utf8_percent_encode(text, RESERVED).to_string();
    encoded.replace("%25", "%2525").replace("%3F", "%253F")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(decoded(text).as_deref(), Ok(expect), "{text}");
    }

    #[test]
    fn a_text_means_the_same_however_often_it_was_decoded() {
        for text in
            ["s3://bucket/a b?c#d", "s3:%2F%2Fbucket%2Fa%20b%3Fc%23d", "s3:%252F%252Fbucket%2Fa b?c#d"]
        {
            check(text, "s3://bucket/a b?c#d");
        }
        check("100%", "100%");
        check("100%25", "100%");
        check("100%2525", "100%");
        check("%zz%4", "%zz%4");
        check("%F0%9F%98%80", "\u{1f600}");
        check("", "");
    }

    #[test]
    fn what_never_ends_or_is_no_text_is_refused() {
        for bad in ["%ff", "a%C3", "%25ff", &format!("%{}41", "25".repeat(MAX_ENCODINGS))] {
            assert!(decoded(bad).is_err(), "{bad}");
        }
        assert!(decoded(&"%25".repeat(3_000)).is_ok());
    }

    /// The path that API Gateway's HTTP APIs make of a path; `None`: they refuse it with 400. As captured live by
    /// others.
    fn through_a_gateway(path: &str) -> Option<String> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let once = decode(path);
        let once = once.split('?').next().unwrap_or_default();
        let is_escape = |rest: &str| {
            let digits = rest.as_bytes().get(1..3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        let is_whole = once.match_indices('%').all(|(place, _)| is_escape(&once[place..]));
        is_whole.then(|| decode(once))
    }

    #[test]
    fn a_gateway_does_what_was_seen() {
        for (sent, arrives) in [
            ("space%20value", Some("space value")),
            ("question%3Fvalue", Some("question")),
            ("percent%25done", None),
            ("hash%23value", Some("hash#value")),
            ("slash%2Fvalue", Some("slash/value")),
            ("literal%252Fvalue", Some("literal/value")),
            ("literal%253Fvalue", Some("literal?value")),
            ("literal%2525value", Some("literal%value")),
        ] {
            assert_eq!(through_a_gateway(sent).as_deref(), arrives, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_arrives(text in "[%?/ a-f0-9äß\u{1f600}#]*|.*") {
            // A text that looks as if it were encoded is another one.
            if let Ok(plain) = decoded(&text) {
                let sent = encoded(&plain);
                prop_assert_eq!(decoded(&sent), Ok(plain.clone()));
                let arrives = through_a_gateway(&sent);
                prop_assert_eq!(arrives.map(|arrives| decoded(&arrives)), Some(Ok(plain)));
            }
        }
    }
}
