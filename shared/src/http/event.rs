//! Events of HTTP requests, made safe before `lambda_http` (1.3.2) makes a request of them.
//!
//! It makes one URL of the headers `X-Forwarded-Proto` and `Host`, the path and the query, and panics if that is none:
//! before any code of ours has run, so without an answer or a line in the log. Proxies write these headers, and callers
//! may. No route needs the scheme and the host, so both are set here.

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::http::header::HOST;
use lambda_http::http::uri::PathAndQuery;
use lambda_http::http::{HeaderName, HeaderValue};
use lambda_http::request::LambdaRequest;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Problem;
use crate::lambda::Error;

/// The host of every request, as routes see it.
const ANY_HOST: HeaderValue = HeaderValue::from_static("jobledger");
/// Its scheme.
const SCHEME: HeaderValue = HeaderValue::from_static("https");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Longest path and query together, encoded: a URL takes no more.
const MAX_TARGET_BYTES: usize = 60_000;

/// Bytes that no query may hold as they are.
const IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
/// Bytes that no path may hold as they are.
const IN_PATH: &AsciiSet = &IN_QUERY.add(b'?').add(b'`').add(b'{').add(b'}').add(b'\\').add(b'^').add(b'|');

/// Reads an event. The inner error is the caller's: the answer to it is this problem.
pub(super) fn read(json: &str) -> Result<Result<LambdaRequest, Problem>, Error> {
    let LambdaRequest::ApiGatewayV2(mut event) = serde_json::from_str(json)? else {
        return Err("the event is no HTTP request of payload format 2.0".into());
    };
    Ok(make_safe(&mut event).map(|()| LambdaRequest::ApiGatewayV2(event)))
}

fn make_safe(event: &mut ApiGatewayV2httpRequest) -> Result<(), Problem> {
    event.headers.insert(HOST, ANY_HOST);
    event.headers.insert(FORWARDED_PROTO, SCHEME);
    // A stage would come before the path.
    event.request_context.stage = None;
    let path = event.raw_path.as_deref().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = format!("{slash}{}", utf8_percent_encode(path, IN_PATH));
    let query = event.raw_query_string.as_deref().unwrap_or_default();
    let query = utf8_percent_encode(query, IN_QUERY).to_string();
    let whole = format!("{path}?{query}");
    if whole.len() > MAX_TARGET_BYTES || PathAndQuery::try_from(whole).is_err() {
        return Err(Problem::too_large(format!(
            "the path and the query must be a URL's, and at most {MAX_TARGET_BYTES} bytes"
        )));
    }
    event.raw_path = Some(path);
    event.raw_query_string = Some(query);
    Ok(())
}

#[cfg(test)]
mod tests {
    use lambda_http::{Request, RequestExt};
    use serde_json::{Value, json};

    use super::*;

    fn event(path: &str, query: &str, headers: &Value) -> Result<Request, &'static str> {
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers,
            "requestContext": {
                "http": { "method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "" },
                "domainName": "jobs.example.com", "stage": "$default",
            },
            "isBase64Encoded": false,
        });
        read(&event.to_string()).unwrap().map(Request::from).map_err(|problem| problem.code())
    }

    #[test]
    fn scheme_and_host_are_ours_whatever_a_proxy_says() {
        for headers in [
            json!({}),
            json!({ "host": "localhost:8080" }),
            json!({ "host": "jobs.example.com", "x-forwarded-proto": "https", "x-forwarded-port": "443" }),
        ] {
            let request = event("/v1/jobs", "limit=1", &headers).unwrap();
            assert_eq!(request.uri(), "https://jobledger/v1/jobs?limit=1", "{headers}");
            assert_eq!(request.headers()["host"], "jobledger");
        }
    }

    #[test]
    fn paths_and_queries_mean_what_they_meant() {
        let request = event("/v1/types/a", "search=%C3%BC&team=a%20b+c", &json!({})).unwrap();
        assert_eq!(request.uri().path(), "/v1/types/a");
        let query = request.query_string_parameters_ref().unwrap();
        assert_eq!((query.first("search"), query.first("team")), (Some("ü"), Some("a b c")));
        assert_eq!(event("/", &"x".repeat(MAX_TARGET_BYTES), &json!({})).unwrap_err(), "too_large");
    }
}
