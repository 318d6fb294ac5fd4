//! HTTP/1.1 to one jobledger, by one key, with TLS by rustls over ring: one way to send, with a bound on everything.

use std::error::Error;
use std::io::{self, Write as _};
use std::iter::successors;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

mod backoff;

pub use backoff::{Backoff, up_to};
pub use http::StatusCode;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept. API Gateway closes its own after some minutes; a client that uses one that was
/// just closed has to try again.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest key, as the service takes it.
const MAX_KEY_BYTES: usize = 256;

/// Sends requests to one service.
#[derive(Debug)]
pub struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: HeaderValue,
    user_agent: &'static str,
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The service's address is not one.
    #[error("the service's address must be http:// or https:// with a host, without query: got {0:?}")]
    Url(String),
    /// The key cannot be sent.
    #[error("the key must be 1 to 256 visible ASCII characters")]
    Key,
    /// The machine's certificates cannot be used.
    #[error("no certificate authority was found on this machine: install its CA certificates")]
    Roots(#[source] io::Error),
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a str,
    /// The path with its query, after the service's address.
    pub path: &'a str,
    /// The type of the body.
    pub content_type: &'a str,
    /// The body.
    pub body: Bytes,
    /// Whether the body is packed.
    pub is_gzip: bool,
    /// The trace that the call belongs to: a W3C `traceparent`.
    pub traceparent: Option<&'a str>,
    /// Longest time for all of it.
    pub timeout: Duration,
    /// Longest answer that is read, in bytes.
    pub max_answer_bytes: usize,
}

/// An answer. Its body may have been too large, or broken off, although its head tells something.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// After how long the service wants to be asked again.
    pub retry_after: Option<Duration>,
    /// The body, or what became of it.
    pub body: Result<Bytes, String>,
}

/// Why there is no answer; the text is for a log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unanswered {
    /// The call makes no valid request.
    #[error("not a request: {0}")]
    Unsendable(String),
    /// Nobody was there: nothing was sent.
    #[error("the service cannot be reached: {0}")]
    Unreachable(String),
    /// It was sent, and may be done or not.
    #[error("{0}")]
    Lost(String),
}

impl Client {
    /// A client of the service at this address.
    pub fn new(url: &str, key: &str, user_agent: &'static str) -> Result<Self, ClientError> {
        let wrong_url = || ClientError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong_url())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(wrong_url()),
        };
        let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        if has_user || uri.query().is_some() || url.contains('#') {
            return Err(wrong_url());
        }
        let is_key =
            (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        let authorization = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| is_key);
        let mut authorization = authorization.ok_or(ClientError::Key)?;
        authorization.set_sensitive(true);

        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let tls = tls(is_https).map_err(ClientError::Roots)?;
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(tls.https_or_http().enable_http1().wrap_connector(connector));
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self { http, base, authorization, user_agent })
    }

    /// Sends one request, once.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, Unanswered> {
        let (timeout, max_answer_bytes) = (call.timeout, call.max_answer_bytes);
        let request =
            self.request(call).map_err(|error| Unanswered::Unsendable(chain(&error as &dyn Error)))?;
        let exchange = async {
            let (head, body) =
                self.http.request(request).await.map_err(|error| unanswered(&error))?.into_parts();
            let body = Limited::new(body, max_answer_bytes).collect().await.map(Collected::to_bytes);
            let body = body.map_err(|error| {
                format!("the answer broke off, or is over {max_answer_bytes} bytes: {}", chain(&*error))
            });
            Ok(Answer { status: head.status, retry_after: retry_after(&head.headers), body })
        };
        let in_time = tokio::time::timeout(timeout, exchange).await;
        in_time.unwrap_or_else(|_| Err(Unanswered::Lost(format!("no answer within {timeout:?}"))))
    }

    fn request(&self, call: Call<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.base, call.path))
            .header(AUTHORIZATION, &self.authorization)
            .header(ACCEPT, "application/json, application/problem+json")
            .header(USER_AGENT, self.user_agent)
            .header(CONTENT_TYPE, call.content_type);
        if call.is_gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        if let Some(traceparent) = call.traceparent {
            request = request.header("traceparent", traceparent);
        }
        request.body(Full::new(call.body))
    }
}

/// Packs a body.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let causes = successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn unanswered(error: &legacy::Error) -> Unanswered {
    if error.is_connect() {
        // Its own words are "client error (Connect)": the errors that led to it say more.
        return Unanswered::Unreachable(error.source().map_or_else(|| error.to_string(), chain));
    }
    Unanswered::Lost(format!("the connection broke off: {}", chain(error)))
}

/// Seconds only: a date would be by another clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
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

    fn client(url: &str, key: &str) -> Result<Client, ClientError> {
        Client::new(url, key, "a-test")
    }

    #[test]
    fn addresses_and_keys_are_checked_before_anything_is_sent() {
        assert!(client("http://127.0.0.1:8080/", "k").is_ok());
        assert_eq!(client("http://h/stage/", "k").unwrap().base, "http://h/stage");
        for bad in ["", "h", "/v1", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h/#a"] {
            assert!(matches!(client(bad, "k"), Err(ClientError::Url(_))), "{bad}");
        }
        let long = "k".repeat(257);
        for bad in ["", "a b", "a\n", "ä", long.as_str()] {
            assert!(matches!(client("http://h", bad), Err(ClientError::Key)), "{bad}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let shown = format!("{:?}", client("http://h", "very-secret").unwrap());
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
