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
use lambda_http::request::LambdaRequest;
use lambda_http::{Request, RequestExt};
use lambda_runtime::Context;
use serde_json::value::RawValue;

use super::incoming::Incoming;
use super::{Access, Answer, Backend, Call, Problem};
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
    let serving = Serving::<R> { backend: Arc::new(backend), access, clock: environment.clock };
    Ok(Started::Streamed(Arc::new(serving)))
}

/// The access control, which knows the callers of a route.
type Control<R> = <<R as StreamRoute>::Backend as Backend>::Control;

struct Serving<R: StreamRoute> {
    backend: Arc<R::Backend>,
    access: Control<R>,
    clock: fn() -> Timestamp,
}

impl<R: StreamRoute> InvokeStreaming for Serving<R> {
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<StreamedAnswer, Error>> {
        Box::pin(async move {
            let payload: LambdaRequest = serde_json::from_str(event.get())?;
            let request = Request::from(payload).with_lambda_context(context);
            Ok(serve::<R>(&self.backend, &self.access, self.clock, request).await)
        })
    }

    fn remembers(&self) -> bool {
        self.access.remembers()
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.access.flush((self.clock)(), Flush::All))
    }
}

/// Admits, and answers as far as the head; the one line of the log comes with the end of the body.
async fn serve<R: StreamRoute>(
    backend: &Arc<R::Backend>,
    access: &Control<R>,
    clock: fn() -> Timestamp,
    request: Request,
) -> StreamedAnswer {
    let mut incoming = Incoming::of(R::NAME, clock, &request);
    let (time_left, began) = (incoming.time_left(MARGIN), incoming.began);
    let answering = tokio::time::timeout(time_left, answer::<R>(backend, access, &mut incoming, &request));
    let (outcome, ()) = tokio::join!(answering, access.flush(began, Flush::Due));
    match outcome.unwrap_or_else(|elapsed| Err(Problem::unavailable(elapsed))) {
        Ok(Streamed { head, body }) => {
            let (parts, _) = incoming.leave(access, head).into_response().into_parts();
            let sending = Sending { body, incoming, status: parts.status.as_u16(), bytes: 0, end: None };
            let body = Box::pin(stream::unfold(sending, Sending::next));
            StreamedAnswer { status: parts.status, headers: parts.headers, body }
        }
        Err(problem) => {
            incoming.failed(&problem, None);
            let answer = incoming.leave(access, problem.answer());
            let (parts, body) = answer.into_response().into_parts();
            let whole = Bytes::copy_from_slice(body.as_ref());
            let body = Box::pin(stream::iter([Ok(whole)]));
            StreamedAnswer { status: parts.status, headers: parts.headers, body }
        }
    }
}

async fn answer<R: StreamRoute>(
    backend: &Arc<R::Backend>,
    access: &Control<R>,
    incoming: &mut Incoming,
    request: &Request,
) -> Result<Streamed, Problem> {
    let mut admitted = incoming.admit(R::ACCESS, 0, access, request).await?;
    R::answer(admitted.call(backend, access, incoming, request)).await
}

/// A body on its way.
struct Sending {
    body: Pieces,
    incoming: Incoming,
    status: u16,
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
        if self.end.is_some() {
            return None;
        }
        let piece = tokio::time::timeout(self.incoming.time_left(MARGIN), self.body.next()).await;
        match piece.unwrap_or_else(|elapsed| Some(Err(Problem::unavailable(elapsed)))) {
            Some(Ok(piece)) => {
                self.bytes += u64::try_from(piece.len()).unwrap_or(0);
                Some((Ok(piece), self))
            }
            Some(Err(problem)) => {
                self.end = Some(End::BrokenOff(problem));
                Some((Err("the answer broke off; the log says why".into()), self))
            }
            None => {
                self.end = Some(End::Whole);
                None
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
