//! Payload format 2.0: a request as API Gateway sends it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::clock;
use crate::template::ACCOUNT;

/// The API's id; on AWS the first label of its host.
const API_ID: &str = "local";
/// The only stage. It is the one that adds nothing to paths.
const STAGE: &str = "$default";

/// The place where a request arrived.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The path that the function sees.
    pub(super) path: &'a str,
    pub(super) route_key: &'a str,
    /// Not decoded, as in API Gateway.
    pub(super) parameters: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: Context<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: &'a BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: String,
    domain_prefix: &'static str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: String,
    source_ip: String,
    user_agent: String,
}

/// Writes the event of a request.
pub(super) fn write(
    head: &Parts,
    body: &[u8],
    place: &Place<'_>,
    peer: SocketAddr,
    address: SocketAddr,
    request_id: &str,
) -> serde_json::Result<Box<RawValue>> {
    let now = clock::now();
    let (body, is_base64_encoded) = self::body(&head.headers, body);
    let query = head.uri.query().unwrap_or_default();
    to_raw_value(&Event {
        version: "2.0",
        route_key: place.route_key,
        raw_path: place.path,
        raw_query_string: query,
        cookies: cookies(&head.headers),
        headers: headers(&head.headers, peer, address),
        query_string_parameters: query_parameters(query),
        request_context: Context {
            account_id: ACCOUNT,
            api_id: API_ID,
            domain_name: head.headers.get(HOST).map_or_else(|| address.to_string(), text),
            domain_prefix: API_ID,
            http: Http {
                method: head.method.as_str(),
                path: place.path,
                protocol: format!("{:?}", head.version),
                source_ip: peer.ip().to_string(),
                user_agent: head.headers.get(USER_AGENT).map(text).unwrap_or_default(),
            },
            request_id,
            route_key: place.route_key,
            stage: STAGE,
            time: now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            time_epoch: now.timestamp_millis(),
        },
        path_parameters: &place.parameters,
        body,
        is_base64_encoded,
    })
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Names in lower case (as `http` has them), values of one name joined by commas. As API Gateway does, it adds the peer to
/// the addresses that proxies have forwarded for, and says itself by which port and protocol the request came. Cookies
/// have a place of their own.
fn headers(headers: &HeaderMap, peer: SocketAddr, address: SocketAddr) -> BTreeMap<&str, String> {
    let mut joined: BTreeMap<&str, String> = BTreeMap::new();
    let sent =
        headers.iter().filter(|(name, _)| *name != COOKIE).map(|(name, value)| (name.as_str(), text(value)));
    for (name, value) in sent.chain([("x-forwarded-for", peer.ip().to_string())]) {
        joined.entry(name).and_modify(|values| *values = format!("{values},{value}")).or_insert(value);
    }
    joined.insert("x-forwarded-port", address.port().to_string());
    joined.insert("x-forwarded-proto", "http".to_owned());
    joined
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let lines: Vec<_> = headers.get_all(COOKIE).iter().map(text).collect();
    let pairs = lines.iter().flat_map(|line| line.split(';')).map(str::trim).filter(|pair| !pair.is_empty());
    pairs.map(str::to_owned).collect()
}

/// Decoded; values of one name joined by commas.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value);
        joined
            .entry(decoded(name))
            .and_modify(|values| *values = format!("{values},{value}"))
            .or_insert(value);
    }
    joined
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The body, and whether it is base64: text goes as it is, anything else encoded, so that no byte changes.
fn body(headers: &HeaderMap, body: &[u8]) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let r#type = headers.get(CONTENT_TYPE).map(text).unwrap_or_default();
    match std::str::from_utf8(body) {
        Ok(text) if is_text(&r#type) => (Some(text.to_owned()), false),
        Ok(_) | Err(_) => (Some(STANDARD.encode(body)), true),
    }
}

/// The content types that API Gateway takes for text. Its documentation does not name them; these were found by trying it
/// (ministackorg/ministack, pull request 766): nothing else, not even a form or a body without a type.
fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || matches!(essence.as_str(), "application/json" | "application/javascript" | "application/xml")
}
