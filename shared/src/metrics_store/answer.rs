//! The answers of a metrics store.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{MetricsError, ScrapedService};

/// Longest text of a store that is passed on, in characters.
const MAX_TEXT: usize = 500;

#[derive(Deserialize)]
struct Answer<'a> {
    status: &'a str,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    result_type: &'a str,
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: (serde_json::Value, String),
}

/// The error that an answer tells by its status; `None`: none.
pub(super) fn refusal(status: u16, body: &[u8]) -> Option<MetricsError> {
    let said = || {
        let told: Option<Answer<'_>> = serde_json::from_slice(body).ok();
        let text = told.and_then(|answer| answer.error);
        short(&text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()))
    };
    match status {
        200..=299 => None,
        400 | 422 => Some(MetricsError::WrongQuery(said())),
        _ => Some(MetricsError::Refused(format!("{status}: {}", said()))),
    }
}

/// The series of an answer, which may also hold an error although its status is 200.
pub(super) fn series(body: &[u8], kind: &str) -> Result<Box<RawValue>, MetricsError> {
    let unusable = |why: &str| MetricsError::Refused(format!("200 with {why}"));
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|_| unusable("no answer of Prometheus"))?;
    if answer.status != "success" {
        return Err(unusable(&short(&answer.error.unwrap_or_else(|| "an error".to_owned()))));
    }
    match answer.data {
        Some(data) if data.result_type == kind && data.result.get().starts_with('[') => {
            Ok(data.result.to_owned())
        }
        Some(_) | None => Err(unusable("another kind of result")),
    }
}

/// The services of an answer to the query `up`.
pub(super) fn services(body: &[u8]) -> Result<Vec<ScrapedService>, MetricsError> {
    let result = series(body, "vector")?;
    let series: Vec<Series> = serde_json::from_str(result.get())
        .map_err(|_| MetricsError::Refused("200 with series that cannot be read".to_owned()))?;
    let service = |mut series: Series| {
        series.metric.remove("__name__");
        ScrapedService { labels: series.metric, is_up: series.value.1 == "1" }
    };
    Ok(series.into_iter().map(service).collect())
}

fn short(text: &str) -> String {
    text.trim().chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_come_as_the_store_has_them_and_nothing_else_of_its_answer() {
        let answer = |text: &str| series(text.as_bytes(), "matrix").map(|series| series.get().to_owned());
        let good = r#"{"status":"success","isPartial":false,"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"NaN"]]}],"x":1},"stats":{}}"#;
        assert_eq!(answer(good).unwrap(), r#"[{"metric":{},"values":[[1,"NaN"]]}]"#);
        for (text, words) in [
            (r#"{"status":"error","errorType":"execution","error":"too many samples"}"#, "too many samples"),
            (r#"{"status":"error"}"#, "an error"),
            (r#"{"status":"success"}"#, "another kind"),
            (r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#, "another kind"),
            (r#"{"status":"success","data":{"resultType":"matrix","result":7}}"#, "another kind"),
            ("<html>", "no answer"),
            ("", "no answer"),
        ] {
            let error = answer(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_status_tells_whose_fault_it_is() {
        assert!(refusal(200, b"").is_none());
        let wrong = refusal(400, br#"{"status":"error","errorType":"bad_data","error":"1:2: parse error"}"#);
        assert!(matches!(wrong, Some(MetricsError::WrongQuery(text)) if text == "1:2: parse error"));
        for status in [301, 401, 403, 404, 429, 500, 503] {
            assert!(matches!(refusal(status, b"no"), Some(MetricsError::Refused(_))), "{status}");
        }
        let long = refusal(500, "x".repeat(9_000).as_bytes()).map(|error| error.to_string().len());
        assert!(long.is_some_and(|length| length < 600));
    }
}
