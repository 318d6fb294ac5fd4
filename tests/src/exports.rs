//! Links to exported files.

use crate::{Reply, Service};

/// The path and the query to which the answer redirects.
#[track_caller]
pub fn link_target(service: &Service, reply: &Reply) -> String {
    assert_eq!(reply.status, 307, "{}", reply.text);
    let location = reply.header("location").expect("a place");
    let url = service.stack.url().expect("a gateway");
    location.strip_prefix(&url).unwrap_or_else(|| panic!("{location} is not below {url}")).to_owned()
}
