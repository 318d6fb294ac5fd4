//! Calls of the ingestion route, for one owner.

use std::time::Duration;

use bytes::Bytes;
use jobledger_client::{Client, Unanswered, gzip};

use crate::answer::Tried;
use crate::call::Call;
use crate::error::Error;

/// Longest answer: the service's own are below 6 MB.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Longest owner, as the service takes it.
const MAX_OWNER_BYTES: usize = 64;
const PATH: &str = "/v1/admin/ingest/jobs";

/// Sends calls to one service, for one owner.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    path: String,
    timeout: Duration,
    is_packed: bool,
}

impl Http {
    pub(crate) fn new(url: &str, owner: Option<&str>, key: &str, timeout: Duration) -> Result<Self, Error> {
        let client = Client::new(url, key, concat!("jobledger/", env!("CARGO_PKG_VERSION")))?;
        Ok(Self { client, path: path(owner)?, timeout, is_packed: true })
    }

    /// Sends no packed bodies from now on; whether any were before.
    pub(crate) fn unpack(&mut self) -> bool {
        std::mem::replace(&mut self.is_packed, false)
    }

    /// Sends a call, once.
    pub(crate) async fn send(&self, call: &Call) -> Tried {
        let body = call.body();
        let body = if self.is_packed { gzip(&body) } else { Ok(body) };
        let body = match body {
            Ok(body) => Bytes::from(body),
            Err(error) => return Tried::Refused(format!("the call cannot be packed: {error}")),
        };
        let request = jobledger_client::Call {
            method: "POST",
            path: &self.path,
            content_type: "application/x-ndjson",
            body,
            is_gzip: self.is_packed,
            timeout: self.timeout,
            max_answer_bytes: MAX_ANSWER_BYTES,
        };
        let again = |why: String, is_lost| Tried::Again { why, retry_after: None, is_lost };
        let answer = match self.client.send(request).await {
            Ok(answer) => answer,
            Err(unanswered) => {
                let why = unanswered.to_string();
                return match unanswered {
                    Unanswered::Unsendable(_) => Tried::Refused(why),
                    Unanswered::Unreachable(_) => again(why, false),
                    Unanswered::Lost(_) => again(why, true),
                };
            }
        };
        match answer.body {
            Ok(body) => Tried::of(answer.status.as_u16(), answer.retry_after, &body, call.sent().len()),
            Err(why) => again(why, true),
        }
    }
}

/// The route, for an owner where one is named.
fn path(owner: Option<&str>) -> Result<String, Error> {
    let is_word = |owner: &str| {
        let mut bytes = owner.bytes();
        (1..=MAX_OWNER_BYTES).contains(&owner.len())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
    };
    match owner {
        None => Ok(PATH.to_owned()),
        Some(owner) if is_word(owner) => Ok(format!("{PATH}?owner={owner}")),
        Some(_) => Err(Error::Usage(format!(
            "--owner must be 1 to {MAX_OWNER_BYTES} letters, digits, '_', '-', '.' or ':'"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_checked_before_anything_is_sent() {
        assert_eq!(path(None).unwrap(), "/v1/admin/ingest/jobs");
        assert_eq!(path(Some("a.b:c")).unwrap(), "/v1/admin/ingest/jobs?owner=a.b:c");
        for bad in ["", "a b", "a&b", "ä", "a/b"] {
            assert!(matches!(path(Some(bad)), Err(Error::Usage(_))), "{bad}");
        }
    }
}
