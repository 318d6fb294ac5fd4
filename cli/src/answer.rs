//! The answers of the service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::state::Counts;

/// Longest text of a service that is shown.
const MAX_SHOWN_CHARS: usize = 500;

/// The advice where the answer is of another form.
const NO_JOBLEDGER: &str = "what answers is no jobledger, or another version of it; look at the URL";

/// The answer to an accepted call.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) unchanged: u64,
    pub(crate) rejected: Vec<Refusal>,
}

/// A job that the service rejected.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    /// Its place in the call, the first 1.
    pub(crate) line: usize,
    pub(crate) external_id: Option<String>,
    pub(crate) errors: Vec<FieldError>,
    /// The number of errors for which the answer had no room.
    #[serde(default)]
    pub(crate) errors_left_out: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) message: String,
}

/// The result of one attempt.
#[derive(Debug)]
pub(crate) enum Tried {
    /// The service accepted the call.
    Confirmed(Answer),
    /// It is too large.
    TooLarge(String),
    /// The service accepts no compressed bodies.
    NotPacked(String),
    /// A retry may succeed.
    Again { why: String, retry_after: Option<Duration>, left: Left },
    /// No retry can succeed.
    Refused(String),
}

/// The answer to the question which service this is.
#[derive(Debug)]
pub(crate) enum Known {
    /// It has this id.
    Id(String),
    /// An older one, which has none.
    Old,
    /// Another try may do.
    Again { why: String, retry_after: Option<Duration> },
    /// No other try will do: nobody answers that may be sent to.
    Refused(String),
}

impl Known {
    /// The meaning of an answer.
    pub(crate) fn of(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Service {
            service_id: String,
        }
        match status {
            200 => match serde_json::from_slice::<Service>(body) {
                Ok(Service { service_id }) => Self::Id(service_id),
                Err(_) => Self::Refused(NO_JOBLEDGER.to_owned()),
            },
            // If the address is wrong, the first call is answered so, too.
            404 | 405 => Self::Old,
            408 | 429 | 500.. => Self::Again { why: told(status, body), retry_after },
            300..400 => Self::Refused(format!("{}; give the URL that it leads to", told(status, body))),
            _ => Self::Refused(told(status, body)),
        }
    }
}

/// The state that a failed try leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing: it was not begun.
    Nothing,
    /// Perhaps some of its jobs, and it has ended. It had too little time or room for all of them.
    Some,
    /// Perhaps some of its jobs, and it may still run. Perhaps it had too little time for all of them.
    Unknown,
}

impl Tried {
    /// The meaning of an answer to a call of this many jobs.
    pub(crate) fn of(status: u16, retry_after: Option<Duration>, body: &[u8], sent: usize) -> Self {
        let told = || told(status, body);
        match status {
            200 => match serde_json::from_slice::<Answer>(body) {
                Ok(answer) if answer.is_of(sent) => Self::Confirmed(answer),
                Ok(_) | Err(_) => Self::Refused(NO_JOBLEDGER.to_owned()),
            },
            413 => Self::TooLarge(told()),
            415 => Self::NotPacked(told()),
            408 | 500.. => {
                let left = if is_of_the_function(body) { Left::Some } else { Left::Unknown };
                Self::Again { why: told(), retry_after, left }
            }
            429 => Self::Again { why: told(), retry_after, left: Left::Nothing },
            300..=399 => Self::Refused(format!("{}; give the URL that it leads to", told())),
            401 => {
                let why =
                    "the service does not know this key, or it was revoked or has expired; give a valid key";
                Self::Refused(format!("{why} ({})", told()))
            }
            403 if code(body) == "missing_scope" => {
                Self::Refused(format!("the key may not ingest; give a key with the scope admin ({})", told()))
            }
            _ => Self::Refused(told()),
        }
    }
}

impl Refusal {
    /// A refusal of a call's only job, in the command's own words.
    pub(crate) fn of_one(message: String) -> Self {
        let errors = vec![FieldError { field: "line".to_owned(), message }];
        Self { line: 1, external_id: None, errors, errors_left_out: 0 }
    }
}

impl Answer {
    /// The counts of the accepted jobs.
    pub(crate) fn taken(&self) -> Counts {
        let Self { created, updated, unchanged, rejected: _ } = *self;
        Counts { created, updated, unchanged, ..Counts::default() }
    }

    /// Whether the answer is about this many jobs, each once.
    fn is_of(&self, sent: usize) -> bool {
        let in_the_call = self.rejected.iter().all(|refusal| (1..=sent).contains(&refusal.line));
        let told = [self.created, self.updated, self.unchanged]
            .into_iter()
            .try_fold(u64::try_from(self.rejected.len()).ok(), |sum, count| Some(sum?.checked_add(count)))
            .flatten();
        in_the_call && told == u64::try_from(sent).ok()
    }
}

/// Whether the function itself gave up. Then its call has ended; an answer of a gateway does not tell that.
fn is_of_the_function(body: &[u8]) -> bool {
    ["internal", "store_unavailable"].contains(&code(body).as_str())
}

/// The stable word of a problem; empty where the body is none.
fn code(body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    struct Problem {
        code: String,
    }
    serde_json::from_slice::<Problem>(body).unwrap_or_default().code
}

/// A refusal in one line: the status, and the text of the problem.
fn told(status: u16, body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    struct Problem {
        title: Option<String>,
        detail: Option<String>,
        /// As API Gateway has it.
        message: Option<String>,
        /// The errors in the call itself.
        #[serde(default)]
        errors: Vec<FieldError>,
    }
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let errors = problem.errors.into_iter().map(|error| format!("{} {}", error.field, error.message));
    let texts = [problem.title, problem.detail, problem.message].into_iter().flatten();
    let texts: Vec<_> = texts.chain(errors).collect();
    let mut line = format!("the service answered {status}");
    if !texts.is_empty() {
        line.push_str(": ");
        line.push_str(&texts.join(": "));
    }
    // Without control characters, which a terminal would obey.
    line.chars().filter(|char| !char.is_control()).take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Tried {
        Tried::of(status, None, body.as_bytes(), 3)
    }

    #[test]
    fn an_answer_must_tell_of_every_job() {
        let rejected = |line| format!("{{\"line\":{line},\"external_id\":null,\"errors\":[]}}");
        let answer = |created: u64, line| {
            let rejected = rejected(line);
            format!("{{\"created\":{created},\"updated\":1,\"unchanged\":0,\"rejected\":[{rejected}]}}")
        };
        assert!(matches!(of(200, &answer(1, 3)), Tried::Confirmed(_)));
        for wrong in
            [answer(1, 0), answer(1, 4), answer(2, 3), answer(u64::MAX, 1), "<html>".into(), "{}".into()]
        {
            assert!(matches!(of(200, &wrong), Tried::Refused(_)), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_problem_says_and_no_more() {
        let problem = r#"{"title":"No \u001b[2Jkey","status":401,"detail":"send one","message":null}"#;
        assert!(
            matches!(of(401, problem), Tried::Refused(told) if told.ends_with("(the service answered 401: No [2Jkey: send one)"))
        );
        assert!(
            matches!(of(503, r#"{"message":"Unavailable"}"#), Tried::Again { why, left: Left::Unknown, .. }
            if why == "the service answered 503: Unavailable")
        );
        let query = r#"{"title":"No","errors":[{"field":"owner","message":"must be a name"}]}"#;
        assert!(matches!(of(422, query), Tried::Refused(told)
            if told == "the service answered 422: No: owner must be a name"));
        let own = r#"{"code":"store_unavailable"}"#;
        assert!(matches!(of(503, own), Tried::Again { left: Left::Some, .. }));
        assert!(matches!(of(502, "<html>"), Tried::Again { why, .. } if why == "the service answered 502"));
        assert!(matches!(of(429, ""), Tried::Again { left: Left::Nothing, .. }));
        assert!(matches!(of(413, ""), Tried::TooLarge(_)));
        assert!(matches!(of(415, ""), Tried::NotPacked(_)));
        for status in [201, 204, 301, 400, 403, 404, 409, 422] {
            assert!(matches!(of(status, ""), Tried::Refused(_)), "{status}");
        }
    }
}
