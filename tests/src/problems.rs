//! Problems: the answers that refuse a request.

use crate::Reply;

/// The answer must be this problem, complete and in its form (RFC 9457).
#[track_caller]
pub fn is_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.at("/code").as_str()), (status, Some(code)), "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.at("/status"), status);
    for name in ["/type", "/title", "/detail"] {
        assert!(reply.at(name).as_str().is_some_and(|text| !text.is_empty()), "{name}: {}", reply.text);
    }
    assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()));
}

/// The answer must be this problem, and name exactly these fields, each with a reason.
#[track_caller]
pub fn refuses(reply: &Reply, status: u16, code: &str, fields: &[&str]) {
    is_problem(reply, status, code);
    let mut named = reply.wrong_fields();
    named.sort();
    let mut expected = fields.to_vec();
    expected.sort_unstable();
    assert_eq!(named, expected, "{}", reply.text);
    for error in reply.at("/errors").as_array().expect("errors") {
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
}

/// The answer must say that the call has no valid key.
#[track_caller]
pub fn is_unauthenticated(reply: &Reply) {
    is_problem(reply, 401, "unauthenticated");
    let challenge = reply.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer"), "{challenge}");
}
