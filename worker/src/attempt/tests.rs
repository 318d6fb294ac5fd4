//! The end of a lease by this worker's own clock. (The rest is seen from outside, in `tests/pool`, where leases are as long
//! as the service lets them be.)

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use super::run;
use crate::claims::Leased;
use crate::metrics::Ended;
use crate::pool::Pool;
use crate::task::Task;
use crate::{TaskError, Worker};

const LEASE: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_millis(50);
/// Heartbeats over half as long again as the lease.
const ACCEPTED: usize = 30;

/// A service that accepts this many reports and then is away.
async fn service(accepted: usize) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let reports = Arc::new(AtomicUsize::new(0));
    let seen = reports.clone();
    let app = Router::new().fallback(move || {
        let is_accepted = seen.fetch_add(1, Ordering::SeqCst) < accepted;
        async move { if is_accepted { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE } }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, reports)
}

fn pool(url: &str) -> Pool {
    let worker = Worker::builder(url, "k").handle("a", |_| async {
        pending::<()>().await;
        Ok::<_, TaskError>(())
    });
    let worker = worker.cancel_grace(Duration::from_millis(1)).backoff(HEARTBEAT, HEARTBEAT).build().unwrap();
    let mut pool = Arc::into_inner(worker.pool).unwrap();
    pool.settings.lease = LEASE;
    pool.settings.heartbeat = HEARTBEAT;
    pool
}

fn task() -> Task {
    let job = json!({ "job_id": "j", "type": "a", "lease_token": "t" });
    Task::new(serde_json::from_str(&job.to_string()).unwrap())
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_it_is_renewed_and_no_longer() {
    let (url, reports) = service(ACCEPTED).await;
    let pool = pool(&url);
    let begun = Instant::now();
    let task = task();
    let cancelled = task.cancelled();
    run(&pool, Leased { task, sent: begun }, &pool.handlers["a"]).await;
    assert!(begun.elapsed() > LEASE, "{:?}", begun.elapsed());
    assert!(
        reports.load(Ordering::SeqCst) > ACCEPTED,
        "renewed until the service went away, and tried again then"
    );
    assert!(cancelled.is_cancelled());
    assert_eq!(pool.metrics.count("a", Ended::Lost), 1);
}

#[tokio::test]
async fn a_lease_is_counted_from_when_its_claim_was_sent() {
    let (url, reports) = service(0).await;
    let pool = pool(&url);
    let begun = Instant::now();
    let sent = begun.checked_sub(LEASE).unwrap();
    run(&pool, Leased { task: task(), sent }, &pool.handlers["a"]).await;
    assert!(reports.load(Ordering::SeqCst) <= 1, "the claim took as long as the lease: it is over at once");
    assert_eq!(pool.metrics.count("a", Ended::Lost), 1);
}
