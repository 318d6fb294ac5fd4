//! An embedded engine that is called as a library, and the store over it.

use std::fmt;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use jobledger::Environment;
use jobledger::domain::Head;
use jobledger::store::{Ledger, head_row};
use jobledger_tests::engine::Engine;

/// The way of requests to an engine.
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

/// A ledger over an engine of its own.
pub(crate) async fn start() -> Ledger {
    let engine = Engine::start();
    let mut vars = engine.names().clone();
    vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), "http://localhost".to_owned());
    let transport = Some(SharedHttpClient::new(Direct(engine)));
    Ledger::open(&Environment { transport, ..Environment::new(vars) }).await.expect("a ledger")
}

/// Stores heads as they are.
pub(crate) async fn store(ledger: &Ledger, heads: impl IntoIterator<Item = &Head>) {
    let rows = heads.into_iter().map(|head| head_row(head).expect("a row")).collect();
    ledger.store.batch_put(&ledger.config.tables.jobs, rows).await.expect("stored");
}
