//! The service, as a worker sees it. It answers claims and reports as the test says, and keeps its requests.

use std::collections::VecDeque;
use std::future::Future;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use jobledger_worker::{RunError, Worker, WorkerBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

/// Longest wait for a state that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A report as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) job: String,
    pub(crate) body: Value,
    pub(crate) raw: Vec<u8>,
    pub(crate) is_gzip: bool,
}

impl Report {
    /// The status that it sets; empty: a heartbeat.
    pub(crate) fn status(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }
}

/// An answer: status, `Retry-After`, body.
pub(crate) type Reply = (u16, Option<u64>, Value);

pub(crate) fn accepted() -> Reply {
    (200, None, json!({ "cancel": false, "status": "running" }))
}

type Script = Box<dyn FnMut(&Report) -> Option<Reply> + Send>;

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) claims: Vec<Value>,
    /// Reports after the first one of each job.
    pub(crate) reports: Vec<Report>,
    /// The jobs whose first report, which says nothing but that it came, was accepted; and all of these reports.
    pub(crate) acknowledged: Vec<String>,
    pub(crate) acknowledgements: Vec<Report>,
    /// Answers to the next of these reports, before any is accepted.
    acknowledge_replies: VecDeque<Reply>,
    /// Headers of every request.
    pub(crate) headers: Vec<HeaderMap>,
    /// Most reports of one job that were in flight at once.
    pub(crate) most_at_once: usize,
    under_way: Vec<String>,
    jobs: VecDeque<Value>,
    /// Answers to the next claims, which come before any job.
    claim_replies: VecDeque<Reply>,
    script: Option<Script>,
    is_draining: bool,
}

impl Seen {
    pub(crate) fn of(&self, job: &str) -> Vec<&Report> {
        self.reports.iter().filter(|report| report.job == job).collect()
    }

    /// The statuses of a job's reports, without heartbeats.
    pub(crate) fn ends(&self, job: &str) -> Vec<&str> {
        self.of(job).into_iter().map(Report::status).filter(|status| !status.is_empty()).collect()
    }
}

pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    seen: Mutex<Seen>,
    changed: Notify,
    /// Reports are answered while this is true.
    gate: watch::Sender<bool>,
    /// Claims are answered while this is true.
    claim_gate: watch::Sender<bool>,
}

impl Mock {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mock = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            seen: Mutex::default(),
            changed: Notify::new(),
            gate: watch::Sender::new(true),
            claim_gate: watch::Sender::new(true),
        });
        let app = Router::new().fallback(answer).with_state(mock.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        mock
    }

    /// A worker of this service, with short waits.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        Worker::builder(format!("http://{}", self.address), "secret")
            .worker_id("w-1")
            .lease_seconds(10)
            .heartbeat_every(Duration::from_millis(20))
            .progress_interval(Duration::from_millis(5))
            .backoff(Duration::from_millis(2), Duration::from_millis(20))
            .cancel_grace(Duration::from_millis(200))
    }

    /// Queues jobs `0`, `1`, … of a type; returns their ids.
    pub(crate) fn queue(&self, kind: &str, count: usize) -> Vec<String> {
        let ids: Vec<_> = (0..count).map(|n| format!("{kind}-{n}")).collect();
        for id in &ids {
            self.give(json!({ "job_id": id, "type": kind }));
        }
        ids
    }

    /// Queues a job, with default values for missing fields.
    pub(crate) fn give(&self, job: Value) {
        let mut whole =
            json!({ "attempt": 1, "max_attempts": 3, "payload": null, "labels": {}, "metadata": null });
        whole["lease_token"] = json!(format!("lease of {}", job["job_id"].as_str().unwrap()));
        let Value::Object(given) = job else { panic!("a job is an object") };
        whole.as_object_mut().unwrap().extend(given);
        self.seen().jobs.push_back(whole);
        self.changed.notify_waiters();
    }

    /// Sends this answer to the next claim.
    pub(crate) fn reply_to_claim(&self, reply: Reply) {
        self.seen().claim_replies.push_back(reply);
        self.changed.notify_waiters();
    }

    /// Answers the next first report of a job so.
    pub(crate) fn reply_to_acknowledgement(&self, reply: Reply) {
        self.seen().acknowledge_replies.push_back(reply);
    }

    /// Answers reports with this script; if it returns `None`, accepts them.
    pub(crate) fn script(&self, script: impl FnMut(&Report) -> Option<Reply> + Send + 'static) {
        self.seen().script = Some(Box::new(script));
    }

    pub(crate) fn hold_reports(&self, is_held: bool) {
        self.gate.send_replace(!is_held);
    }

    pub(crate) fn hold_claims(&self, is_held: bool) {
        self.claim_gate.send_replace(!is_held);
    }

    pub(crate) fn drain(&self) {
        self.seen().is_draining = true;
        self.changed.notify_waiters();
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Waits until the requests satisfy the condition.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if is_so(&self.seen()) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            let seen = self.seen();
            panic!("not seen: {what}; reports: {:?}; claims: {:?}", seen.reports, seen.claims);
        }
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen());
        self.changed.notify_waiters();
    }
}

async fn answer(State(mock): State<Arc<Mock>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let raw = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let is_gzip = head.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let mut json = Vec::new();
    if is_gzip {
        flate2::read::GzDecoder::new(raw.as_slice()).read_to_end(&mut json).unwrap();
    } else {
        json.clone_from(&raw);
    }
    let body: Value = serde_json::from_slice(&json).unwrap();
    mock.note(|seen| seen.headers.push(head.headers.clone()));
    let path = head.uri.path();
    let reply = match (head.method.as_str(), path) {
        ("POST", "/v1/jobs/claim") => claim(&mock, body).await,
        ("PATCH", _) => {
            let job = path.strip_prefix("/v1/jobs/").unwrap().to_owned();
            report(&mock, Report { job, body, raw, is_gzip }).await
        }
        _ => (404, None, json!({ "code": "not_found" })),
    };
    let (status, retry_after, body) = reply;
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    let mut response = (status, body.to_string()).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

/// Answers a claim. It waits for jobs, unless the claim or the test says otherwise.
async fn claim(mock: &Mock, body: Value) -> Reply {
    let max = usize::try_from(body["max"].as_u64().unwrap()).unwrap();
    mock.note(|seen| seen.claims.push(body));
    loop {
        let changed = mock.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let is_open = *mock.claim_gate.borrow();
        {
            let mut seen = mock.seen();
            if let Some(reply) = seen.claim_replies.pop_front() {
                return reply;
            }
            let count = max.min(seen.jobs.len());
            if is_open && (count > 0 || seen.is_draining) {
                let jobs: Vec<_> = seen.jobs.drain(..count).collect();
                return (200, None, json!({ "jobs": jobs }));
            }
        }
        let mut opened = mock.claim_gate.subscribe();
        tokio::select! {
            () = changed => {}
            _ = opened.changed() => {}
        }
    }
}

/// The answer to the first report of a job; `None`: this is a later one.
fn acknowledge(mock: &Mock, report: &Report) -> Option<Reply> {
    let is_bare = report.status().is_empty() && report.body["progress"].is_null();
    if !is_bare || mock.seen().acknowledged.contains(&report.job) {
        return None;
    }
    let mut reply = accepted();
    mock.note(|seen| {
        seen.acknowledgements.push(report.clone());
        match seen.acknowledge_replies.pop_front() {
            Some(other) => reply = other,
            None => seen.acknowledged.push(report.job.clone()),
        }
    });
    Some(reply)
}

async fn report(mock: &Mock, report: Report) -> Reply {
    if let Some(reply) = acknowledge(mock, &report) {
        return reply;
    }
    let job = report.job.clone();
    mock.note(|seen| {
        seen.reports.push(report.clone());
        seen.under_way.push(job.clone());
        let at_once = seen.under_way.iter().filter(|other| **other == job).count();
        seen.most_at_once = seen.most_at_once.max(at_once);
    });
    let mut gate = mock.gate.subscribe();
    drop(gate.wait_for(|is_open| *is_open).await);
    let mut seen = mock.seen();
    let place = seen.under_way.iter().position(|other| *other == job).unwrap();
    seen.under_way.remove(place);
    let mut script = seen.script.take();
    let reply = script.as_mut().and_then(|script| script(&report)).unwrap_or_else(accepted);
    seen.script = script;
    reply
}

/// A running worker.
pub(crate) struct Run {
    mock: Arc<Mock>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<(), RunError>>,
}

impl Run {
    pub(crate) fn start(mock: &Arc<Mock>, worker: WorkerBuilder) -> Self {
        Self::of(mock, worker.build().unwrap())
    }

    pub(crate) fn of(mock: &Arc<Mock>, worker: Worker) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let run = worker.run_until(async {
            let _told = stopped.await;
        });
        Self { mock: mock.clone(), stop: Some(stop), ended: tokio::spawn(run) }
    }

    pub(crate) fn tell_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn ended(self) -> Result<(), RunError> {
        within(self.ended).await.unwrap()
    }

    /// Stops the worker, and expects no more jobs.
    pub(crate) async fn stop(mut self) {
        self.mock.drain();
        self.tell_to_stop();
        self.ended().await.unwrap();
    }
}

/// Waits with a bound.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("to end in time")
}

/// One plain GET: status and body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    within(stream.read_to_string(&mut text)).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Repeats a request until its answer satisfies the condition.
pub(crate) async fn eventually(address: SocketAddr, path: &str, is_so: impl Fn(u16, &str) -> bool) -> String {
    let asking = async {
        loop {
            let (status, body) = get(address, path).await;
            if is_so(status, &body) {
                return body;
            }
            tokio::task::yield_now().await;
        }
    };
    within(asking).await
}
