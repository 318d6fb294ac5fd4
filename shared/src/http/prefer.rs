//! The preference of a caller: `Prefer: wait=N` (RFC 7240). All else that a caller may prefer is passed over.

use lambda_http::http::HeaderMap;

use super::{Problem, Wait};
use crate::domain::Invalid;

/// For how long the caller would wait, where it says so. Of several, the first counts.
pub(super) fn wait(headers: &HeaderMap) -> Result<Option<Wait>, Problem> {
    let refused = |invalid| Problem::invalid_header("Prefer", invalid);
    for value in headers.get_all("prefer") {
        let text = value.to_str().map_err(|_| refused(Invalid::new("must be visible ASCII")))?;
        for preference in split(text, ',') {
            // Parameters follow a semicolon; `wait` has none.
            let said = split(preference, ';').next().unwrap_or_default();
            let (name, value) = said.split_once('=').unwrap_or((said, ""));
            if name.trim().eq_ignore_ascii_case("wait") {
                let wait = Wait::parse(unquoted(value.trim()));
                return wait.map(Some).map_err(|Invalid(reason)| refused(Invalid(format!("wait {reason}"))));
            }
        }
    }
    Ok(None)
}

/// Splits a text, but not within quotation marks.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |next| {
        let within = quoted;
        match next {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        next == separator && !within
    })
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use lambda_http::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(values: &[&'static str], expect: Result<Option<u8>, ()>) {
        let mut headers = HeaderMap::new();
        for &value in values {
            headers.append("prefer", HeaderValue::from_static(value));
        }
        let found = wait(&headers).map(|wait| wait.map(|wait| wait.seconds)).map_err(|_| ());
        assert_eq!(found, expect, "{values:?}");
    }

    #[test]
    fn a_wait_is_found_among_other_preferences() {
        check(&[], Ok(None));
        check(&["wait=10"], Ok(Some(10)));
        check(&["WAIT = 0"], Ok(Some(0)));
        check(&["wait=\"25\""], Ok(Some(25)));
        check(&["respond-async, wait=10"], Ok(Some(10)));
        check(&["respond-async", "handling=lenient;x=1, wait=5; y=\"a,b\""], Ok(Some(5)));
        check(&["a=\"wait=3, wait=4\", wait=5"], Ok(Some(5)));
        check(&["a=\"\\\", wait=4\", wait=5"], Ok(Some(5)));
        check(&["a; wait=5"], Ok(None));
        check(&["await=5, waits=5, return=minimal"], Ok(None));
        check(&["", ",;=,\"", "\\"], Ok(None));
        // RFC 7240: the first counts, and the others are ignored.
        check(&["wait=1, wait=2", "wait=x"], Ok(Some(1)));
    }

    #[test]
    fn a_wait_is_a_number_of_seconds() {
        for bad in
            ["wait", "wait=", "wait=26", "wait=-1", "wait=1.5", "wait=1s", "wait=\"", "wait=1 2", "wait=x"]
        {
            check(&[bad], Err(()));
        }
    }
}
