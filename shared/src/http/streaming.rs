//! The steps around a route whose answer is streamed, read from top to bottom.
//!
//! The head is decided before the first byte, so that any error in the request is an ordinary problem. A failure after
//! that breaks the body off: nobody may take a part of it for the whole.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use lambda_http::http::Method;
use lambda_http::{Request, RequestExt};
use lambda_runtime::Context;
use serde_json::value::RawValue;

use super::cors::Cors;
use super::incoming::Incoming;
use super::methods::Methods;
use super::packing::{Coding, Packer};
use super::panics::caught;
use super::{Access, Answer, Backend, Call, Problem, event};
use crate::access::{AccessControl, Flush};
use crate::domain::Timestamp;
use crate::environment::Environment;
use crate::lambda::{BoxFuture, Error, Function, InvokeStreaming, Started, StreamedAnswer};

/// How long before Lambda ends a function its body breaks off: the log still says why, and the last piece leaves whole.
const MARGIN: Duration = Duration::from_secs(5);

/// One kind of request whose answer is streamed.
pub trait StreamRoute: Send + Sync + 'static {
    /// The function's name.
    const NAME: &'static str;
    /// The callers that may use it.
    const ACCESS: Access;
    /// The values that it works with.
    type Backend: Backend;

    /// Decides the head of the answer, and how the body comes. A body of a request is not looked at.
    fn answer(call: Call<'_, Arc<Self::Backend>>) -> impl Future<Output = Result<Streamed, Problem>> + Send;
}

/// The answer of a route whose body comes piece by piece.
pub struct Streamed {
    head: Answer,
    body: Pieces,
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Problem>> + Send>>;

impl Streamed {
    /// This head, and after it these pieces. The next is asked for only when the caller has taken the last.
    pub fn new(head: Answer, body: impl Stream<Item = Result<Bytes, Problem>> + Send + 'static) -> Self {
        Self { head, body: Box::pin(body) }
    }
}

/// The function that serves a route so.
pub const fn streaming<R: StreamRoute>() -> Function {
    Function { name: R::NAME, routes: Vec::new, start: |environment| Box::pin(start::<R>(environment)) }
}

async fn start<R: StreamRoute>(environment: Environment) -> Result<Started, Error> {
    let (backend, access) = R::Backend::start(&environment).await?;
    if access.remembers() {
        environment.telemetry.start(R::NAME);
    }
    let cors = Cors::of(&environment.vars);
    let serving = Serving::<R> { backend: Arc::new(backend), access, cors, clock: environment.clock };
    Ok(Started::Streamed(Arc::new(serving)))
}

/// The access control, which knows the callers of a route.
type Control<R> = <<R as StreamRoute>::Backend as Backend>::Control;

struct Serving<R: StreamRoute> {
    backend: Arc<R::Backend>,
    access: Control<R>,
    cors: Cors,
    clock: fn() -> Timestamp,
}

impl<R: StreamRoute> InvokeStreaming for Serving<R> {
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<StreamedAnswer, Error>> {
        Box::pin(async move {
            let request_id = context.request_id.clone();
            let request = match event::read(event.get())? {
                Ok(payload) => caught(R::NAME, self.clock, async { Ok(Request::from(payload)) }).await,
                Err(problem) => Err(problem),
            };
            match request {
                Ok(request) => Ok(self.serve(request.with_lambda_context(context)).await),
                Err(problem) => {
                    problem.log_without_request(R::NAME, &request_id);
                    Ok(whole(problem.answer().with("x-request-id", &request_id)))
                }
            }
        })
    }

    fn remembers(&self) -> bool {
        self.access.remembers()
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.access.flush((self.clock)(), Flush::All))
    }
}

/// An answer of one piece.
fn whole(answer: Answer) -> StreamedAnswer {
    let (parts, body) = answer.into_response().into_parts();
    let whole = Bytes::copy_from_slice(body.as_ref());
    let body = Box::pin(stream::iter([Ok(whole)]));
    StreamedAnswer { status: parts.status, headers: parts.headers, body }
}

/// A route's answer, or that to `OPTIONS`.
enum Reply {
    Route(Streamed),
    Options(Methods),
}

impl<R: StreamRoute> Serving<R> {
    /// Admits, and answers as far as the head; the one line of the log comes with the end of the body.
    async fn serve(&self, request: Request) -> StreamedAnswer {
        let Self { access, cors, .. } = self;
        let mut incoming = Incoming::of(R::NAME, self.clock, &request);
        let (time_left, began) = (incoming.time_left(MARGIN), incoming.began);
        let answering = caught(R::NAME, self.clock, self.answer(&mut incoming, &request));
        let answering = tokio::time::timeout(time_left, answering);
        let (outcome, ()) = tokio::join!(answering, access.flush(began, Flush::Due));
        let headers = request.headers();
        match outcome.unwrap_or_else(|elapsed| Err(Problem::unavailable(elapsed))) {
            Ok(Reply::Route(Streamed { head, body })) => {
                let head = cors.on(incoming.leave(access, head), headers, None).varying_by("accept-encoding");
                if request.method() == Method::HEAD {
                    incoming.answered(&head);
                    return whole(head.without_body());
                }
                let coding = Coding::wanted(headers);
                // It is made of memory only, so making it does not fail; if it did, the body would leave as it is.
                let packer = coding.and_then(|coding| Some((coding, Packer::new(coding).ok()?)));
                let head = match &packer {
                    Some((coding, _)) => head.with("content-encoding", coding.as_str()),
                    None => head,
                };
                let (parts, _) = head.into_response().into_parts();
                let packer = packer.map(|(_, packer)| packer);
                let sending =
                    Sending { body, incoming, status: parts.status.as_u16(), packer, bytes: 0, end: None };
                let body = Box::pin(stream::unfold(sending, Sending::next));
                StreamedAnswer { status: parts.status, headers: parts.headers, body }
            }
            Ok(Reply::Options(methods)) => {
                let answer = methods.answer();
                incoming.answered(&answer);
                whole(cors.on(incoming.leave(access, answer), headers, Some(&methods)))
            }
            Err(problem) => {
                incoming.failed(&problem, None);
                let answer = cors.on(incoming.leave(access, problem.answer()), headers, None);
                let is_head = request.method() == Method::HEAD;
                whole(if is_head { answer.without_body() } else { answer })
            }
        }
    }

    async fn answer(&self, incoming: &mut Incoming, request: &Request) -> Result<Reply, Problem> {
        if let Some(methods) = Methods::new(std::iter::once("GET")) {
            if request.method() == Method::OPTIONS {
                return Ok(Reply::Options(methods));
            }
            if !methods.allow(request) {
                return Err(Problem::method_not_allowed(methods.list()));
            }
        }
        let Self { backend, access, .. } = self;
        let mut admitted = incoming.admit(R::ACCESS, 0, access, request).await?;
        R::answer(admitted.call(backend, access, incoming, request)).await.map(Reply::Route)
    }
}

/// A body on its way.
struct Sending {
    body: Pieces,
    incoming: Incoming,
    status: u16,
    packer: Option<Packer>,
    bytes: u64,
    end: Option<End>,
}

/// How a body ended.
enum End {
    Whole,
    BrokenOff(Problem),
}

impl Sending {
    async fn next(mut self) -> Option<(Result<Bytes, Error>, Self)> {
        while self.end.is_none() {
            let piece = match self.piece().await {
                Ok(piece) => piece,
                Err(problem) => {
                    self.end = Some(End::BrokenOff(problem));
                    return Some((Err("the answer broke off; the log says why".into()), self));
                }
            };
            if !piece.is_empty() {
                self.bytes += u64::try_from(piece.len()).unwrap_or(0);
                return Some((Ok(piece), self));
            }
        }
        None
    }

    /// The next piece, as it leaves; an empty one says nothing.
    async fn piece(&mut self) -> Result<Bytes, Problem> {
        let Incoming { function, clock, .. } = self.incoming;
        let time_left = self.incoming.time_left(MARGIN);
        let taking = caught(function, clock, async { self.body.next().await.transpose() });
        let piece = tokio::time::timeout(time_left, taking).await;
        let piece = piece.unwrap_or_else(|elapsed| Err(Problem::unavailable(elapsed)))?;
        match (piece, &mut self.packer) {
            (Some(piece), None) => Ok(piece),
            (Some(piece), Some(packer)) => packer.next(&piece).map_err(Problem::internal),
            (None, _) => {
                self.end = Some(End::Whole);
                let rest = self.packer.take().map(Packer::finish).transpose().map_err(Problem::internal)?;
                Ok(rest.unwrap_or_default().into())
            }
        }
    }
}

impl Drop for Sending {
    /// Here every body ends: after its last piece, after a failure, or where its caller left.
    fn drop(&mut self) {
        match &self.end {
            Some(End::Whole) => self.incoming.streamed(self.status, self.bytes, "answered"),
            Some(End::BrokenOff(problem)) => self.incoming.failed(problem, Some(self.bytes)),
            None => self.incoming.streamed(self.status, self.bytes, "left by its caller"),
        }
    }
}
