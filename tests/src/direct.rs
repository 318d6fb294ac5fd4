//! The embedded engine as the transport of the SDK: requests reach it without a network.

use std::fmt;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use jobledger::Environment;

use crate::clock;
use crate::engine::Engine;

/// The transport of requests to an engine.
#[derive(Clone)]
struct Direct(Engine);

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Direct")
    }
}

impl HttpClient for Direct {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Direct {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.split('.').nth(1).unwrap_or_default();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
        let (status, answer) = self.0.answer(operation, &body);
        let status = StatusCode::try_from(status).expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, answer.into())))
    }
}

/// The environment of a function over this engine.
pub fn environment(engine: &Engine) -> Environment {
    let mut vars = engine.names().clone();
    vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), "http://localhost".to_owned());
    let transport = Some(SharedHttpClient::new(Direct(engine.clone())));
    Environment { transport, ..Environment::new(vars) }
}

/// The environment of a function over this engine, on the paused clock of the thread's runtime.
pub fn paused_environment(engine: &Engine) -> Environment {
    Environment { clock: clock::paused_now, ..environment(engine) }
}
