//! A panic of a route: its caller gets a problem, and its operator a line in the log.

use jobledger::http::{
    Access, Answer, Call, Nothing, Problem, Route, RouteKey, StreamRoute, Streamed, function, streaming,
};
use jobledger::lambda::Started;
use jobledger::{Environment, Function};
use jobledger_tests::Service;
use jobledger_tests::alone::Request;
use jobledger_tests::log::LogLines;
use lambda_runtime::Context;
use serde_json::Value;
use serde_json::value::to_raw_value;

const SECRET: &str = "a secret";

#[derive(Debug)]
struct Panics;

impl Route for Panics {
    const NAME: &'static str = "panics";
    const KEY: RouteKey = RouteKey::get("/panics");
    const ACCESS: Access = Access::Open;
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Nothing;

    async fn answer(_: Call<'_, Nothing>) -> Result<Answer, Problem> {
        panic!("{SECRET}");
    }
}

impl StreamRoute for Panics {
    const NAME: &'static str = "panics";
    const ACCESS: Access = Access::Open;
    type Backend = Nothing;

    async fn answer(_: Call<'_, std::sync::Arc<Nothing>>) -> Result<Streamed, Problem> {
        panic!("{SECRET}");
    }
}

const WHOLE: Function = function::<Panics>();
const STREAMED: Function = streaming::<Panics>();

fn is_answer(status: u16, body: &Value) {
    assert_eq!(status, 500);
    assert_eq!((&body["status"], &body["code"]), (&serde_json::json!(500), &serde_json::json!("internal")));
    assert!(!body.to_string().contains(SECRET), "{body}");
}

#[tokio::test]
async fn a_panic_is_a_problem_and_a_line_in_the_log() {
    let service = Service::shared().await;
    let (log, _listening) = LogLines::listen(&service).await;
    let event = to_raw_value(&Request::new("GET", "/panics").event()).expect("an event");
    let environment = || Environment::new([].into());
    let mut context = Context::default();
    context.request_id = "r-7".to_owned();

    let Ok(Started::Whole(whole)) = (WHOLE.start)(environment()).await else { panic!("it answers whole") };
    let answer = whole.invoke(&event, context.clone()).await.expect("an answer");
    let answer: Value = serde_json::from_str(answer.get()).expect("JSON");
    assert_eq!(answer["headers"]["content-type"], "application/problem+json");
    assert_eq!(answer["headers"]["x-request-id"], "r-7");
    let body = serde_json::from_str(answer["body"].as_str().expect("a text")).expect("JSON");
    is_answer(
        answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
        &body,
    );

    let Ok(Started::Streamed(streamed)) = (STREAMED.start)(environment()).await else { panic!("it streams") };
    let answer = streamed.invoke(&event, context).await.expect("an answer");
    let chunks: Vec<_> = futures_util::StreamExt::collect(answer.body).await;
    let body: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.expect("a piece").to_vec()).collect();
    is_answer(answer.status.as_u16(), &serde_json::from_slice(&body).expect("JSON"));

    let all = log.all();
    let lines = all.lines().filter(|line| line.contains("the function panicked: a secret"));
    assert_eq!(lines.count(), 2, "{all}");
}
