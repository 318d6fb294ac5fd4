//! Calls of the routes of ingestion, for one owner.

use std::time::Duration;

use bytes::Bytes;
use jobledger_client::{Client, Unanswered, gzip};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::answer::{Known, Left, Tried};
use crate::call::Call;
use crate::error::Error;

/// Longest answer: the service's own are below 6 MB.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// The characters that are written in a query as they are.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.').remove(b':');
const PATH: &str = "/v1/admin/ingest/jobs";
const SERVICE_PATH: &str = "/v1/admin/ingest";

/// Sends calls to one service, for one owner.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    path: String,
    service_path: String,
    timeout: Duration,
    is_packed: bool,
}

impl Http {
    pub(crate) fn new(url: &str, owner: Option<&str>, key: &str, timeout: Duration) -> Result<Self, Error> {
        let client = Client::new(url, key, concat!("jobledger/", env!("CARGO_PKG_VERSION")))?;
        let (path, service_path) = (path(PATH, owner), path(SERVICE_PATH, owner));
        Ok(Self { client, path, service_path, timeout, is_packed: true })
    }

    /// Sends no packed bodies from now on; whether any were before.
    pub(crate) fn unpack(&mut self) -> bool {
        std::mem::replace(&mut self.is_packed, false)
    }

    /// Asks which service this is, once. It answers only if the key may send, for this owner.
    pub(crate) async fn ask(&self) -> Known {
        let again = |why| Known::Again { why, retry_after: None };
        let answer = match self.request("GET", &self.service_path, Bytes::new(), false).await {
            Ok(answer) => answer,
            Err(Unanswered::Unsendable(why)) => {
                return Known::Refused(Unanswered::Unsendable(why).to_string());
            }
            Err(unanswered) => return again(unanswered.to_string()),
        };
        match answer.body {
            Ok(body) => Known::of(answer.status.as_u16(), answer.retry_after, &body),
            Err(why) => again(why),
        }
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
        is_gzip: bool,
    ) -> Result<jobledger_client::Answer, Unanswered> {
        let request = jobledger_client::Call {
            method,
            path,
            content_type: "application/x-ndjson",
            body,
            is_gzip,
            traceparent: None,
            timeout: self.timeout,
            max_answer_bytes: MAX_ANSWER_BYTES,
        };
        self.client.send(request).await
    }

    /// Sends a call, once.
    pub(crate) async fn send(&self, call: &Call) -> Tried {
        let body = call.body();
        let body = if self.is_packed { gzip(&body) } else { Ok(body) };
        let body = match body {
            Ok(body) => Bytes::from(body),
            Err(error) => return Tried::Refused(format!("the call cannot be packed: {error}")),
        };
        let again = |why: String, left| Tried::Again { why, retry_after: None, left };
        let answer = match self.request("POST", &self.path, body, self.is_packed).await {
            Ok(answer) => answer,
            Err(unanswered) => {
                let why = unanswered.to_string();
                return match unanswered {
                    Unanswered::Unsendable(_) => Tried::Refused(why),
                    Unanswered::Unreachable(_) => again(why, Left::Nothing),
                    Unanswered::Lost(_) => again(why, Left::Unknown),
                };
            }
        };
        match answer.body {
            Ok(body) => Tried::of(answer.status.as_u16(), answer.retry_after, &body, call.sent),
            Err(why) => again(why, Left::Unknown),
        }
    }
}

/// A route, for an owner where one is named. Which names there are, the service knows.
fn path(path: &str, owner: Option<&str>) -> String {
    owner.map_or_else(
        || path.to_owned(),
        |owner| format!("{path}?owner={}", utf8_percent_encode(owner, PLAIN)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_arrives_as_it_is_named() {
        assert_eq!(path(PATH, None), "/v1/admin/ingest/jobs");
        assert_eq!(path(PATH, Some("a.b:c_-")), "/v1/admin/ingest/jobs?owner=a.b:c_-");
        assert_eq!(
            path(PATH, Some("-a &=%#+/ä")),
            "/v1/admin/ingest/jobs?owner=-a%20%26%3D%25%23%2B%2F%C3%A4"
        );
    }
}
