//! Entity tags: an answer that the caller has already is not sent again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::http::HeaderMap;
use lambda_http::http::header::IF_NONE_MATCH;
use sha2::{Digest, Sha256};

/// Bytes of the hash that a tag has.
const TAG_BYTES: usize = 16;

/// The tag of a body. It is weak, because a packed body has the same.
pub(super) fn tag(body: &[u8]) -> String {
    let hash = Sha256::digest(body);
    format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(hash.get(..TAG_BYTES).unwrap_or(&hash)))
}

/// Whether the sender of these headers has the answer with this tag.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use lambda_http::http::HeaderValue;

    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let tag = tag(b"{}");
        let strong = tag.trim_start_matches("W/").to_owned();
        for (known, is) in [
            (tag.clone(), true),
            (strong.clone(), true),
            (format!("\"x\", {tag}"), true),
            ("*".to_owned(), true),
            ("\"x\"".to_owned(), false),
            (strong.trim_matches('"').to_owned(), false),
            (String::new(), false),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(&known).unwrap())]);
            assert_eq!(is_known(&headers, &tag), is, "{known}");
        }
    }
}
