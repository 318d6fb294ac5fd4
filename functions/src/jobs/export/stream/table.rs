//! Jobs as a table (RFC 4180). Cells are what `JobView` says, in columns that do not depend on the jobs.

use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};
use jobledger::domain::{Job, Timestamp};
use jobledger::http::JobView;
use serde_json::{Map, Value};

use super::file::WriteError;

/// The columns. Readers may go by their place: new ones come at the end.
const COLUMNS: [&str; 29] = [
    "job_id",
    "external_id",
    "type",
    "status",
    "phase",
    "priority",
    "name",
    "attempt",
    "max_attempts",
    "created_at",
    "updated_at",
    "available_at",
    "started_at",
    "completed_at",
    "expires_at",
    "duration_ms",
    "cost_usd",
    "team",
    "model",
    "provider",
    "gpu_type",
    "labels",
    "error_message",
    "error_failed_task",
    "trace_id",
    "error_code",
    "last_error_message",
    "worker_id",
    "lease_expires_at",
];
/// The labels with a column of their own; the others share one.
const LABELS: [&str; 4] = ["team", "model", "provider", "gpu_type"];

/// The characters that make a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), also in their wide forms.
const BEGINS_A_FORMULA: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Writes the line of names, each in quotation marks.
///
/// `DuckDB` 2.0 decides by the first 20,480 rows whether a file has quotation marks. If the first one came later, it would
/// read the marks as a part of the text, or refuse the file.
pub(crate) fn write_names(text: &mut Vec<u8>) -> Result<(), csv::Error> {
    let mut lines = lines(text, QuoteStyle::Always);
    lines.write_record(COLUMNS)?;
    Ok(lines.flush()?)
}

/// Writes a line for each job.
pub(crate) fn write_jobs(text: &mut Vec<u8>, jobs: &[Job], now: Timestamp) -> Result<(), WriteError> {
    let mut lines = lines(text, QuoteStyle::Necessary);
    for job in jobs {
        let mut job: Map<String, Value> =
            serde_json::from_value(serde_json::to_value(JobView::new(job, now))?)?;
        spread(&mut job);
        lines.write_record(COLUMNS.map(|column| cell(job.get(column))))?;
    }
    Ok(lines.flush().map_err(csv::Error::from)?)
}

fn lines(text: &mut Vec<u8>, quotes: QuoteStyle) -> Writer<&mut Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).quote_style(quotes).from_writer(text)
}

/// Gives what lies deeper a column's name.
fn spread(job: &mut Map<String, Value>) {
    if let Some(Value::Object(mut labels)) = job.remove("labels") {
        for name in LABELS {
            job.extend(labels.remove(name).map(|value| (name.to_owned(), value)));
        }
        job.insert("labels".to_owned(), Value::Object(labels));
    }
    if let Some(Value::Object(mut error)) = job.remove("error") {
        let columns =
            [("message", "error_message"), ("failed_task", "error_failed_task"), ("code", "error_code")];
        for (name, column) in columns {
            job.extend(error.remove(name).map(|value| (column.to_owned(), value)));
        }
    }
    if let Some(Value::Object(mut error)) = job.remove("last_error") {
        job.extend(error.remove("message").map(|value| ("last_error_message".to_owned(), value)));
    }
}

/// Numbers as they are, texts so that none of them is a formula, anything else as JSON.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.starts_with(BEGINS_A_FORMULA) => format!("'{text}"),
        Some(Value::String(text)) => text.clone(),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            other.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::cell;

    #[track_caller]
    fn check(value: &serde_json::Value, expect: &str) {
        assert_eq!(cell(Some(value)), expect);
    }

    #[test]
    fn a_text_is_never_a_formula_and_a_number_stays_one() {
        check(&json!("=1+1"), "'=1+1");
        check(&json!("+1"), "'+1");
        check(&json!("-1"), "'-1");
        check(&json!("@SUM(A1)"), "'@SUM(A1)");
        check(&json!("\t=1"), "'\t=1");
        check(&json!("\r=1"), "'\r=1");
        check(&json!("＝1"), "'＝1");
        check(&json!("a=1"), "a=1");
        check(&json!("'=1"), "'=1");
        check(&json!(-1), "-1");
        check(&json!(null), "");
        check(&json!({"a": "=1"}), r#"{"a":"=1"}"#);
    }
}
