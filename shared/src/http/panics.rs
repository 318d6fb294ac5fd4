//! A panic of a route: an answer, a line in the log and a metric, as any other fault of ours.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use serde_json::json;

use super::Problem;
use crate::domain::Timestamp;

/// The function panicked.
#[derive(Debug, thiserror::Error)]
#[error("the function panicked: {0}")]
pub(super) struct Panicked(String);

/// Waits for an answer; a panic on the way is a problem.
pub(super) async fn caught<T>(
    function: &'static str,
    clock: fn() -> Timestamp,
    answering: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    // Nothing that the panic left half done is looked at again: each request has values of its own.
    AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|panic| {
        count(function, clock());
        Err(Problem::internal(Panicked(said(panic.as_ref()))))
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it said nothing".to_owned())
}

/// Writes the line that `CloudWatch` makes the metric `Panics` of.
fn count(function: &str, now: Timestamp) {
    println!("{}", line(function, now));
}

/// A line of `CloudWatch`'s embedded metric format.
fn line(function: &str, now: Timestamp) -> String {
    json!({
        "_aws": {
            "Timestamp": now.millis(),
            "CloudWatchMetrics": [{
                "Namespace": "jobledger",
                "Dimensions": [["function"], []],
                "Metrics": [{ "Name": "Panics", "Unit": "Count" }],
            }],
        },
        "function": function,
        "Panics": 1,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_that_says_no_more_than_any_other() {
        let clock = || Timestamp::from_millis(0);
        let caught = caught::<()>("get-job", clock, async { panic!("a secret") }).await.unwrap_err();
        assert_eq!((caught.status().as_u16(), caught.code()), (500, "internal"));
        assert_eq!(caught.chain().as_deref(), Some("the function panicked: a secret"));
        assert_eq!(super::caught("get-job", clock, async { Ok(1) }).await.unwrap(), 1);
    }

    #[test]
    fn the_line_of_the_metric_has_the_embedded_format() {
        let line: serde_json::Value =
            serde_json::from_str(&line("get-job", Timestamp::from_millis(7))).unwrap();
        assert_eq!((&line["Panics"], &line["function"]), (&json!(1), &json!("get-job")));
        assert_eq!(line["_aws"]["Timestamp"], 7);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "Panics");
    }
}
