//! One function by itself, called as Lambda calls it: without a gateway, a stream or any other writer.

use std::collections::BTreeMap;
use std::time::Duration;

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::{Started, StreamedAnswer};
use lambda_runtime::Context;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::Reply;

/// A started function.
pub struct Alone {
    started: Started,
    clock: fn() -> Timestamp,
    ends_in: Option<Duration>,
}

impl Alone {
    /// Starts the function of this name.
    pub async fn start(name: &str, environment: Environment) -> Self {
        let all = jobledger_functions::all();
        let function = all.iter().find(|function| function.name == name).expect("a function of that name");
        let clock = environment.clock;
        let started = (function.start)(environment).await.expect("the function starts");
        Self { started, clock, ends_in: None }
    }

    /// Makes Lambda end each call after this time.
    #[must_use]
    pub fn ends_in(self, time: Duration) -> Self {
        Self { ends_in: Some(time), ..self }
    }

    fn context(&self) -> Context {
        let mut context = Context::default();
        if let Some(time) = self.ends_in {
            let deadline = u128::from((self.clock)().millis().unsigned_abs()) + time.as_millis();
            context.deadline = u64::try_from(deadline).expect("a time of this age");
        }
        context
    }

    /// Sends an event. If it returns an error, Lambda would log that and repeat the event.
    pub async fn invoke(&self, event: &Value) -> Result<Value, String> {
        let event = to_raw_value(event).expect("an event");
        let Started::Whole(function) = &self.started else { panic!("the function streams its answer") };
        let answer: Result<Box<RawValue>, _> = function.invoke(&event, self.context()).await;
        let answer = answer.map_err(|error| error.to_string())?;
        Ok(serde_json::from_str(answer.get()).expect("JSON"))
    }

    /// Ends the function's environment, as Lambda does with an idle one.
    pub async fn finish(&self) {
        self.started.finish().await;
    }

    /// Sends a request to a function that streams, and reads its answer up to the head.
    pub async fn open(&self, request: &Request) -> StreamedAnswer {
        let event = to_raw_value(&request.event()).expect("an event");
        let Started::Streamed(function) = &self.started else { panic!("the function answers in one piece") };
        function.invoke(&event, self.context()).await.expect("an answer")
    }

    /// Sends a request as the event that API Gateway would send.
    pub async fn call(&self, request: &Request) -> Reply {
        let answer = self.invoke(&request.event()).await.expect("an answer");
        let mut headers = HeaderMap::new();
        for (name, value) in answer["headers"].as_object().into_iter().flatten() {
            let value = value.as_str().expect("a header is text");
            let name: HeaderName = name.parse().expect("a header's name");
            headers.insert(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        let text = answer["body"].as_str().unwrap_or_default().to_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: status.expect("a status"), headers, text, json }
    }
}

/// An HTTP request before it becomes an event of payload format 2.0.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    query: String,
    parameters: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    route: String,
}

impl Request {
    /// A request with the admin key of the local stack; `target` is a path with or without a query.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let key = format!("Bearer {}", jobledger_local::LOCAL_KEY);
        let named = [("/v1/jobs/", "job_id"), ("/v1/types/", "type"), ("/v1/admin/keys/", "key_id")];
        let parameters = named.into_iter().filter_map(|(begin, name)| {
            let value = path.strip_prefix(begin)?.split('/').next()?;
            Some((name.to_owned(), value.to_owned()))
        });
        let record = path.strip_prefix("/v1/records/").and_then(|rest| rest.split_once('/'));
        let record = record.into_iter().flat_map(|(kind, id)| [("kind", kind), ("id", id)]);
        let parameters = parameters.chain(record.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            parameters: parameters.collect(),
            headers: BTreeMap::from([("authorization".to_owned(), key)]),
            body: None,
            route: "$default".to_owned(),
        }
    }

    /// Whether its route changes nothing.
    pub fn reads(&self) -> bool {
        self.method == "GET" || self.path == "/v1/jobs/batch-status"
    }

    /// Through this route of the template; without a route, the request goes to a Function URL.
    #[must_use]
    pub fn route(mut self, route: &str) -> Self {
        route.clone_into(&mut self.route);
        self
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Without this header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// As the event that a function gets.
    pub fn event(&self) -> Value {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let query: BTreeMap<&str, &str> = pairs.collect();
        json!({
            "version": "2.0",
            "routeKey": self.route,
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": self.headers,
            "queryStringParameters": query,
            "pathParameters": self.parameters,
            "body": self.body,
            "isBase64Encoded": false,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "alone",
                "domainName": "alone.example",
                "domainPrefix": "alone",
                "http": {
                    "method": self.method,
                    "path": self.path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "test",
                },
                "requestId": "alone",
                "routeKey": self.route,
                "stage": "$default",
                "time": "01/Jan/2026:00:00:00 +0000",
                "timeEpoch": 1_767_225_600_000_i64,
            },
        })
    }
}
