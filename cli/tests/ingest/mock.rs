//! The service, as the command sees it. It answers calls as the test says, and keeps the jobs that it accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::command::PATIENCE;

/// A call as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its place among all calls, the first 0.
    pub(crate) place: usize,
    pub(crate) headers: HeaderMap,
    pub(crate) uri: String,
    pub(crate) bytes: usize,
    /// Its lines.
    pub(crate) jobs: Vec<String>,
}

/// The fate of a call.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// The mock accepts it.
    In,
    /// The mock accepts it, and the answer gets lost.
    InUnheard,
    /// The mock accepts this many of its new jobs. If some are left, it answers that the store is too slow.
    Part(usize),
    /// The mock refuses it: status, `Retry-After`, body.
    Refused(u16, Option<u64>, Value),
    /// The mock never answers.
    Held,
}

pub(crate) fn refused(status: u16) -> Fate {
    Fate::Refused(status, None, json!({ "title": "No", "detail": "not today", "code": "no" }))
}

type Script = Box<dyn FnMut(&Call) -> Fate + Send>;

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) calls: Vec<Call>,
    /// All states of each job, in the order of their arrival.
    pub(crate) jobs: BTreeMap<String, Vec<String>>,
    script: Option<Script>,
    is_forgetful: bool,
    /// Ids that came twice in one call.
    twice: Vec<String>,
}

pub(crate) struct Mock {
    pub(crate) url: String,
    seen: Mutex<Seen>,
    /// The answer to the question which service this is.
    service: Mutex<(u16, Value)>,
    count: watch::Sender<usize>,
    is_released: watch::Sender<bool>,
}

impl Mock {
    /// Starts a mock that accepts every call.
    pub(crate) async fn start() -> Arc<Self> {
        Self::scripted(|_| Fate::In).await
    }

    pub(crate) async fn scripted(script: impl FnMut(&Call) -> Fate + Send + 'static) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mock = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Mutex::default(),
            service: Mutex::new((200, json!({ "service_id": "first", "owner": "o" }))),
            count: watch::Sender::new(0),
            is_released: watch::Sender::new(false),
        });
        mock.script(script);
        let app = Router::new().fallback(answer).with_state(mock.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        mock
    }

    pub(crate) fn script(&self, script: impl FnMut(&Call) -> Fate + Send + 'static) {
        self.seen().script = Some(Box::new(script));
    }

    /// Answers so, from now on, if it is asked which service this is.
    pub(crate) fn says_of_itself(&self, status: u16, body: Value) {
        *self.service.lock().unwrap() = (status, body);
    }

    /// Forgets all jobs: from now on it is another service at the same address.
    pub(crate) fn empty(&self) {
        self.seen().jobs.clear();
        self.says_of_itself(200, json!({ "service_id": "second", "owner": "o" }));
    }

    /// Keeps no calls from now on.
    pub(crate) fn forget(&self) {
        self.seen().is_forgetful = true;
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Waits until this many calls have arrived.
    pub(crate) async fn calls(&self, count: usize) {
        let mut calls = self.count.subscribe();
        let came = tokio::time::timeout(PATIENCE, calls.wait_for(|calls| *calls >= count)).await;
        came.expect("the calls come").unwrap();
    }

    /// Accepts and answers the held calls.
    pub(crate) fn release(&self) {
        self.is_released.send_replace(true);
    }

    /// How many jobs each call had.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.seen().calls.iter().map(|call| call.jobs.len()).collect()
    }

    /// Whether the mock has exactly these ids, each in this last state.
    #[track_caller]
    pub(crate) fn has(&self, jobs: &[String]) {
        let mut expect = BTreeMap::new();
        for job in jobs {
            expect.insert(id(job).unwrap(), job.clone());
        }
        let seen = self.seen();
        assert!(seen.twice.is_empty(), "twice in one call: {:?}", seen.twice);
        let there: BTreeMap<_, _> =
            seen.jobs.iter().map(|(id, told)| (id.clone(), told.last().unwrap().clone())).collect();
        assert_eq!(there, expect);
    }
}

fn id(job: &str) -> Option<String> {
    let job: Value = serde_json::from_str(job).ok()?;
    Some(job["external_id"].as_str()?.to_owned())
}

/// As the service does: rejects jobs that are not JSON or are marked as wrong, and upserts all others.
fn take_in(seen: &mut Seen, text: &str) -> Value {
    let [mut created, mut updated, mut unchanged] = [0; 3];
    let mut rejected = Vec::new();
    let mut ids = BTreeSet::new();
    for (line, job) in (1..).zip(text.lines()) {
        let id = id(job);
        if let Some(id) = &id
            && !ids.insert(id.clone())
        {
            seen.twice.push(id.clone());
        }
        let Some(id) = id.clone().filter(|_| !job.contains("\"wrong\":true")) else {
            let errors = json!([{ "field": "line", "message": "is no job" }]);
            rejected.push(json!({ "line": line, "external_id": id, "errors": errors }));
            continue;
        };
        let told = seen.jobs.entry(id).or_default();
        match told.last() {
            None => created += 1,
            Some(last) if last == job => unchanged += 1,
            Some(_) => updated += 1,
        }
        if told.last().is_none_or(|last| last != job) {
            told.push(job.to_owned());
        }
    }
    json!({ "created": created, "updated": updated, "unchanged": unchanged, "rejected": rejected })
}

/// Accepts this many of the new jobs; returns whether these were all.
fn take_in_part(seen: &mut Seen, text: &str, most: usize) -> bool {
    let is_new = |job: &&str| id(job).is_some_and(|id| !seen.jobs.contains_key(&id));
    let new: Vec<_> = text.lines().filter(is_new).map(ToOwned::to_owned).collect();
    for job in new.iter().take(most) {
        take_in(seen, job);
    }
    new.len() <= most
}

async fn answer(State(mock): State<Arc<Mock>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    if head.method == "GET" {
        assert_eq!(head.uri.path(), "/v1/admin/ingest");
        let (status, body) = mock.service.lock().unwrap().clone();
        return (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
    }
    let raw = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut text = String::new();
    if head.headers.contains_key("content-encoding") {
        let unpacked = flate2::read::GzDecoder::new(raw.as_ref()).read_to_string(&mut text);
        unpacked.expect("a whole body of UTF-8");
    } else {
        text = String::from_utf8(raw.to_vec()).unwrap();
    }
    let fate = {
        let mut seen = mock.seen();
        let jobs = text.lines().map(ToOwned::to_owned).collect();
        let call = Call {
            place: seen.calls.len(),
            headers: head.headers,
            uri: format!("{} {}", head.method, head.uri),
            bytes: text.len(),
            jobs,
        };
        let mut script = seen.script.take().unwrap();
        let fate = script(&call);
        seen.script = Some(script);
        if !seen.is_forgetful {
            seen.calls.push(call);
        }
        fate
    };
    mock.count.send_modify(|count| *count += 1);
    match fate {
        Fate::In => (StatusCode::OK, take_in(&mut mock.seen(), &text).to_string()).into_response(),
        Fate::InUnheard => {
            take_in(&mut mock.seen(), &text);
            let broken = std::io::Error::other("broken off");
            let cut = Body::from_stream(stream::iter([Ok("{"), Err(broken)]));
            Response::builder().header("content-length", "100").body(cut).unwrap()
        }
        Fate::Part(most) => {
            let mut seen = mock.seen();
            if take_in_part(&mut seen, &text, most) {
                return (StatusCode::OK, take_in(&mut seen, &text).to_string()).into_response();
            }
            let problem = json!({ "title": "No", "code": "store_unavailable" });
            (StatusCode::SERVICE_UNAVAILABLE, problem.to_string()).into_response()
        }
        Fate::Refused(status, retry_after, body) => {
            let status = StatusCode::from_u16(status).unwrap();
            let mut response = (status, body.to_string()).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            response
        }
        Fate::Held => {
            let mut released = mock.is_released.subscribe();
            drop(released.wait_for(|is_released| *is_released).await);
            (StatusCode::OK, take_in(&mut mock.seen(), &text).to_string()).into_response()
        }
    }
}
