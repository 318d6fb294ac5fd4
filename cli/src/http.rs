//! HTTP/1.1, with TLS by rustls over ring: one way to send, with a bound on everything.

use std::error::Error as _;
use std::io::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::answer::Tried;
use crate::call::Call;
use crate::error::{Error, chain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest answer: the service's own are below 6 MB.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Longest key, as the service takes it.
const MAX_KEY_BYTES: usize = 256;
/// Longest owner, as the service takes it.
const MAX_OWNER_BYTES: usize = 64;
const PATH: &str = "/v1/admin/ingest/jobs";

/// Sends calls to one service, for one owner.
#[derive(Debug)]
pub(crate) struct Http {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    authorization: HeaderValue,
    timeout: Duration,
    is_packed: bool,
}

impl Http {
    pub(crate) fn new(url: &str, owner: Option<&str>, key: &str, timeout: Duration) -> Result<Self, Error> {
        let (uri, is_https) = address(url, owner)?;
        let is_key =
            (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        let wrong_key = || {
            Error::Usage(format!(
                "the key must be 1 to {MAX_KEY_BYTES} visible ASCII characters, without blanks"
            ))
        };
        if !is_key {
            return Err(wrong_key());
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| wrong_key())?;
        authorization.set_sensitive(true);

        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let tls = tls(is_https).map_err(Error::Certificates)?;
        let connector = tls.https_or_http().enable_http1().wrap_connector(connector);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Ok(Self { client, uri, authorization, timeout, is_packed: true })
    }

    /// Sends no packed bodies from now on; whether any were before.
    pub(crate) fn unpack(&mut self) -> bool {
        std::mem::replace(&mut self.is_packed, false)
    }

    /// Sends a call, once.
    pub(crate) async fn send(&self, call: &Call) -> Tried {
        let request = match self.request(call.body()) {
            Ok(request) => request,
            Err(error) => return Tried::Refused(format!("not a request: {}", chain(&*error))),
        };
        let lost = |why| Tried::Again { why, retry_after: None, is_lost: true };
        let exchange = async {
            let answer = match self.client.request(request).await {
                Ok(answer) => answer,
                Err(error) if error.is_connect() => {
                    return Tried::Again { why: cannot_connect(&error), retry_after: None, is_lost: false };
                }
                Err(error) => return lost(format!("the connection broke off: {}", chain(&error))),
            };
            let (head, body) = answer.into_parts();
            match Limited::new(body, MAX_ANSWER_BYTES).collect().await {
                Ok(body) => {
                    let retry_after = retry_after(&head.headers);
                    Tried::of(head.status.as_u16(), retry_after, &body.to_bytes(), call.sent().len())
                }
                Err(error) => lost(format!("the answer broke off: {}", chain(error.as_ref()))),
            }
        };
        let in_time = tokio::time::timeout(self.timeout, exchange).await;
        in_time.unwrap_or_else(|_| lost(format!("the service did not answer within {:?}", self.timeout)))
    }

    fn request(&self, body: Vec<u8>) -> Result<Request<Full<Bytes>>, Box<dyn std::error::Error>> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.uri)
            .header(AUTHORIZATION, &self.authorization)
            .header(ACCEPT, "application/json, application/problem+json")
            .header(USER_AGENT, concat!("jobledger/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/x-ndjson");
        let mut bytes = body;
        if self.is_packed {
            request = request.header(CONTENT_ENCODING, "gzip");
            bytes = gzip(&bytes)?;
        }
        Ok(request.body(Full::new(bytes.into()))?)
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn cannot_connect(error: &legacy::Error) -> String {
    // Its own words are "client error (Connect)": what led to it says more.
    let cause = error.source().map_or_else(|| error.to_string(), chain);
    format!("the service cannot be reached: {cause}")
}

/// Seconds only: a date would be by another clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The route of a service, and whether it is reached by TLS.
fn address(url: &str, owner: Option<&str>) -> Result<(Uri, bool), Error> {
    let wrong = || {
        Error::Usage(format!("{url:?} is no address of a service; give one such as https://jobs.example.com"))
    };
    let base: Uri = url.parse().map_err(|_| wrong())?;
    let is_https = match base.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        Some(_) | None => return Err(wrong()),
    };
    let has_user = base.authority().is_none_or(|authority| authority.as_str().contains('@'));
    if has_user || base.query().is_some() || url.contains('#') {
        return Err(wrong());
    }
    let is_word = |owner: &str| {
        let mut bytes = owner.bytes();
        (1..=MAX_OWNER_BYTES).contains(&owner.len())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
    };
    let query = match owner {
        None => String::new(),
        Some(owner) if is_word(owner) => format!("?owner={owner}"),
        Some(_) => {
            let what =
                format!("--owner must be 1 to {MAX_OWNER_BYTES} letters, digits, '_', '-', '.' or ':'");
            return Err(Error::Usage(what));
        }
    };
    let route = format!("{}{PATH}{query}", url.trim_end_matches('/'));
    Ok((route.parse().map_err(|_| wrong())?, is_https))
}

/// TLS as this machine trusts others; to a service without TLS, a machine without certificates can speak, too.
fn tls(is_https: bool) -> io::Result<HttpsConnectorBuilder<WantsSchemes>> {
    let provider = rustls::crypto::ring::default_provider();
    if is_https {
        return HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
    }
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str, owner: Option<&str>) -> Option<String> {
        address(url, owner).ok().map(|(uri, _)| uri.to_string())
    }

    #[test]
    fn addresses_keys_and_owners_are_checked_before_anything_is_sent() {
        assert_eq!(at("http://h:1/", None).as_deref(), Some("http://h:1/v1/admin/ingest/jobs"));
        let staged = at("https://h/stage", Some("a.b:c"));
        assert_eq!(staged.as_deref(), Some("https://h/stage/v1/admin/ingest/jobs?owner=a.b:c"));
        for bad in ["", "h", "/v1", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h/#a"] {
            assert_eq!(at(bad, None), None, "{bad}");
        }
        for bad in ["", "a b", "a&b", "ä", "a/b"] {
            assert_eq!(at("http://h", Some(bad)), None, "{bad}");
        }
        let long = "k".repeat(257);
        for bad in ["", "a b", "a\n", "ä", long.as_str()] {
            let wrong = Http::new("http://h", None, bad, CONNECT_TIMEOUT);
            assert!(matches!(wrong, Err(Error::Usage(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_key_is_not_shown() {
        let shown = format!("{:?}", Http::new("http://h", None, "very-secret", CONNECT_TIMEOUT).unwrap());
        assert!(!shown.contains("very-secret"), "{shown}");
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let read = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]))
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(read("-1"), None);
    }
}
