//! A metrics store that answers as a test wants, and the signatures of AWS, checked without the code that makes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock;

/// How the store answers.
#[derive(Clone, Debug)]
pub enum Says {
    /// This status and this body.
    Answer(u16, String),
    /// So many bytes.
    Bytes(usize),
    /// Nothing, for an hour.
    Nothing,
}

/// A request that the store got.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

#[derive(Debug)]
struct Inner {
    says: Says,
    asked: Vec<Asked>,
}

/// A store on a port of this machine. It ends when it is dropped.
#[derive(Debug)]
pub struct FakeStore {
    url: String,
    inner: Arc<Mutex<Inner>>,
    serving: JoinHandle<()>,
}

impl FakeStore {
    /// Starts one that answers so.
    pub async fn start(says: Says) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let inner = Arc::new(Mutex::new(Inner { says, asked: Vec::new() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, inner, serving }
    }

    /// Its address, with a path as some stores have one.
    pub fn url(&self) -> String {
        format!("{}/workspaces/ws-1", self.url)
    }

    /// From now on, it answers so.
    pub fn says(&self, says: Says) {
        self.lock().says = says;
    }

    /// How many requests it got.
    pub fn count(&self) -> usize {
        self.lock().asked.len()
    }

    /// The last request.
    pub fn asked(&self) -> Asked {
        self.lock().asked.last().cloned().expect("a request")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakeStore {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let says = {
        let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        let body = String::from_utf8_lossy(&body).into_owned();
        inner.asked.push(Asked { path: uri.path().to_owned(), headers: headers.collect(), body });
        inner.says.clone()
    };
    match says {
        Says::Answer(status, body) => (StatusCode::from_u16(status).expect("a status"), body).into_response(),
        Says::Bytes(count) => "x".repeat(count).into_response(),
        Says::Nothing => {
            clock::pass(3_600_000).await;
            StatusCode::OK.into_response()
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    let hashed = Sha256::digest(key);
    let key = if key.len() > block.len() { hashed.as_slice() } else { key };
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

/// Whether a POST is signed with this secret, by the rules of Signature Version 4.
pub fn is_signed(asked: &Asked, secret: &str) -> bool {
    let header = |name: &str| asked.headers.get(name).cloned().unwrap_or_default();
    let authorization = header("authorization");
    let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else { return false };
    let field = |name: &str| {
        fields
            .split(',')
            .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    let (credential, signed) = (field("Credential"), field("SignedHeaders"));
    let headers = signed.split(';').map(|name| format!("{name}:{}\n", header(name).trim()));
    let headers = headers.collect::<Vec<_>>().concat();
    let body = hex(&Sha256::digest(asked.body.as_bytes()));
    let canonical = format!("POST\n{}\n\n{headers}\n{signed}\n{body}", asked.path);
    let scope = credential.split_once('/').map(|(_, scope)| scope).unwrap_or_default();
    let hashed = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hashed}", header("x-amz-date"));
    let start = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(start, |key, part| hmac(&key, part.as_bytes()));
    let needed = ["host", "content-type", "x-amz-date"];
    let all = needed.iter().all(|name| signed.split(';').any(|known| known == *name));
    all && field("Signature") == hex(&hmac(&key, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_message_is_that_of_rfc_4231() {
        let code = hex(&hmac(b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(code, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
