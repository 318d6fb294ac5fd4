//! The worker's own port: `/metrics`, `/health`, `/stats`.

use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::breaker::State;
use crate::pool::Pool;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until it is dropped.
pub(crate) async fn serve(pool: Arc<Pool>, listener: std::net::TcpListener) {
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/stats", get(stats))
        .with_state(pool);
    let served = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, app).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "metrics are no longer served");
    }
}

async fn metrics(Shared(pool): Shared<Arc<Pool>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &pool.metrics.registry()) {
        Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS), (CACHE_CONTROL, "no-store")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn health(Shared(pool): Shared<Arc<Pool>>) -> Response {
    let (status, word) = if !pool.metrics.is_up() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if pool.breaker_state() == State::Open {
        (StatusCode::SERVICE_UNAVAILABLE, "service_away")
    } else {
        (StatusCode::OK, "healthy")
    };
    json_answer(status, &json!({ "status": word }))
}

async fn stats(Shared(pool): Shared<Arc<Pool>>) -> Response {
    json_answer(StatusCode::OK, &pool.metrics.stats(pool.breaker_state()))
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}
