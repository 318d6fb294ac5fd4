//! The lines that a process logs, and those that it never logs.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use lambda_runtime::tracing::subscriber::filter::{LevelFilter, Targets};
use lambda_runtime::tracing::subscriber::fmt;
use lambda_runtime::tracing::subscriber::layer::SubscriberExt as _;
use lambda_runtime::tracing::subscriber::util::SubscriberInitExt as _;

use crate::audit::AUDIT;

/// The variable that says from which level on this logs. It is not Lambda's own (`ApplicationLogLevel`): Lambda would also
/// drop lines by it, and the audit's are at `INFO`.
const LEVEL: &str = "LOG_LEVEL";

/// Begins to log to the standard output, for the rest of the process.
pub(super) fn init(vars: &BTreeMap<String, String>, function: &str) {
    let level = vars.get(LEVEL).and_then(|level| LevelFilter::from_str(level).ok());
    let targets = targets(level.unwrap_or(LevelFilter::INFO), [function]);
    let registry = lambda_runtime::tracing::subscriber::registry().with(targets);
    let lines = fmt::layer().with_target(false).without_time();
    if vars.get("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        registry.with(lines.json()).init();
    } else {
        registry.with(lines).init();
    }
}

/// The targets that these functions log from a level on. The libraries under them never log more than `INFO`: past it,
/// the runtime logs whole events, with the keys and tickets in them, and the SDK whole requests.
pub fn targets<'a>(level: LevelFilter, functions: impl IntoIterator<Item = &'a str>) -> Targets {
    let crates = functions.into_iter().map(|function| (function.replace('-', "_"), level));
    Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("jobledger", level)
        .with_targets(crates)
        .with_target(AUDIT, LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use lambda_runtime::tracing::Level;

    use super::*;

    #[test]
    fn only_our_own_say_more_than_info() {
        let targets = targets(LevelFilter::TRACE, ["create-job"]);
        for (target, level, is_logged) in [
            ("jobledger::http::serve", Level::TRACE, true),
            ("create_job::parse", Level::TRACE, true),
            ("lambda_runtime::layers::api_response", Level::INFO, true),
            ("lambda_runtime::layers::api_response", Level::DEBUG, false),
            ("aws_smithy_runtime::client::orchestrator", Level::TRACE, false),
            ("hyper::proto::h1", Level::DEBUG, false),
        ] {
            assert_eq!(targets.would_enable(target, &level), is_logged, "{target} {level}");
        }
    }

    #[test]
    fn the_audit_is_logged_at_any_level() {
        for level in [LevelFilter::OFF, LevelFilter::ERROR, LevelFilter::WARN, LevelFilter::TRACE] {
            let targets = targets(level, ["keys"]);
            assert!(targets.would_enable(AUDIT, &Level::INFO), "{level}");
        }
        let targets = targets(LevelFilter::ERROR, ["keys"]);
        assert!(!targets.would_enable("jobledger::http::serve", &Level::INFO));
        assert!(!targets.would_enable("lambda_runtime", &Level::WARN));
    }
}
