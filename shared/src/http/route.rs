//! A route: its method, its path, its access, and its answer. A function serves one route or several.

use std::future::Future;

use lambda_http::http::Method;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use super::methods::{Methods, served};
use super::{Access, Answer, Backend, Call, Problem};
use crate::lambda::{BoxFuture, RouteKey};

/// One route, and its answer.
pub trait Route: Send + Sync + 'static {
    /// The function that serves it.
    const NAME: &'static str;
    /// Its method and its path.
    const KEY: RouteKey;
    /// The callers that may use it.
    const ACCESS: Access;
    /// Longest body that it reads, in bytes; 0: a body is not looked at.
    const MAX_BODY_BYTES: usize;
    /// Whether its requests are numbers for operators.
    const IS_OBSERVED: bool = true;
    /// Routes of other functions whose paths are also of this one: `/v1/jobs/claim` is one of `/v1/jobs/{job_id}`.
    const OTHERS: &'static [RouteKey] = &[];
    /// The values that it works with.
    type Backend: Backend;

    /// Answers a request.
    fn answer(call: Call<'_, Self::Backend>) -> impl Future<Output = Result<Answer, Problem>> + Send;
}

/// A function that serves routes.
pub trait Serves: Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// The values that its routes work with.
    type Backend: Backend;
    /// Its routes.
    const ROUTES: &'static [Served<Self::Backend>];
    /// Whether its requests are numbers for operators.
    const IS_OBSERVED: bool = true;
    /// Routes of other functions whose paths may lead to this one, with a method that they don't have.
    const OTHERS: &'static [RouteKey] = &[];
}

/// Most functions serve one route.
impl<R: Route> Serves for R {
    const NAME: &'static str = R::NAME;
    type Backend = R::Backend;
    const ROUTES: &'static [Served<R::Backend>] = &[Served::of::<R>()];
    const IS_OBSERVED: bool = R::IS_OBSERVED;
    const OTHERS: &'static [RouteKey] = R::OTHERS;
}

/// Answers a request of a route.
type AnswerOf<B> = for<'a> fn(Call<'a, B>) -> BoxFuture<'a, Result<Answer, Problem>>;

/// A [`Route`] as a value.
#[derive(Debug)]
pub struct Served<B: Backend> {
    /// Its method and its path.
    pub key: RouteKey,
    /// The callers that may use it.
    pub access: Access,
    /// Longest body that it reads, in bytes.
    pub max_body_bytes: usize,
    /// Answers a request.
    pub answer: AnswerOf<B>,
}

impl<B: Backend> Served<B> {
    /// This route.
    pub const fn of<R: Route<Backend = B>>() -> Self {
        Self {
            key: R::KEY,
            access: R::ACCESS,
            max_body_bytes: R::MAX_BODY_BYTES,
            answer: |call| Box::pin(R::answer(call)),
        }
    }
}

/// The route and the path that a request names.
#[derive(Debug)]
pub(super) enum Found<B: Backend> {
    /// This route.
    Route(&'static Served<B>),
    /// The methods of its path.
    Options(Methods),
    /// A method that its path does not have.
    WrongMethod(Methods),
    /// Nothing that the function serves.
    Nothing,
}

/// Finds the route of a request. API Gateway names the route. A Function URL does not, and leads to a function of one route.
pub(super) fn find<F: Serves>(request: &Request) -> Found<F::Backend> {
    let path = request.uri().path();
    let others = Methods::of_path(F::OTHERS.iter().copied(), path);
    let is_other = others.is_some();
    let methods = others.or_else(|| match F::ROUTES {
        [only] => Methods::new(std::iter::once(only.key.method)),
        routes => Methods::of_path(routes.iter().map(|route| route.key), path),
    });
    match methods {
        Some(methods) if request.method() == Method::OPTIONS => Found::Options(methods),
        Some(methods) if !methods.allow(request) => Found::WrongMethod(methods),
        // The template leads it here, and to nobody else.
        Some(_) if is_other => Found::Nothing,
        Some(_) | None => serving(F::ROUTES, request).map_or(Found::Nothing, Found::Route),
    }
}

fn serving<B: Backend>(routes: &'static [Served<B>], request: &Request) -> Option<&'static Served<B>> {
    if let [only] = routes {
        return Some(only);
    }
    let (method, path) = (served(request.method()), request.uri().path());
    let named = key_of(request);
    let named = named.and_then(|key| routes.iter().find(|route| route.key.to_string() == key));
    // `cargo lambda watch` names no routes that the template knows.
    named.or_else(|| routes.iter().find(|route| route.key.method == method && route.key.has_path(path)))
}

/// The route of a request, as the template has it, `HEAD` under the `GET` that serves it; `None`: Lambda does not say, as
/// at a Function URL.
pub(super) fn key_of(request: &Request) -> Option<String> {
    let RequestContext::ApiGatewayV2(context) = request.request_context_ref()? else { return None };
    let key = context.route_key.as_deref().filter(|route| *route != "$default")?;
    Some(match key.strip_prefix("HEAD ") {
        Some(path) => format!("GET {path}"),
        None => key.to_owned(),
    })
}

/// The address of the caller; `None`: Lambda does not say.
pub(super) fn source_ip_of(request: &Request) -> Option<String> {
    let RequestContext::ApiGatewayV2(context) = request.request_context_ref()? else { return None };
    context.http.source_ip.clone()
}

/// The function was called for a route that it does not serve: the template and the code disagree.
#[derive(Debug, thiserror::Error)]
#[error("the function {function} does not serve {method} {path}")]
pub(super) struct NotServed {
    pub(super) function: &'static str,
    pub(super) method: String,
    pub(super) path: String,
}
