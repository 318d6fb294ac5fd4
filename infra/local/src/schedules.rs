//! Schedules: functions that are called at intervals, as EventBridge does.

use std::time::Duration;

use chrono::SecondsFormat;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{MissedTickBehavior, interval_at};

use crate::clock;
use crate::invoke::Instance;
use crate::stop::Stopped;
use crate::streams::Wake;
use crate::template::{ACCOUNT, REGION, ScheduleKind, ScheduleRule};

/// Calls the function until the stack stops. The first call comes after the first interval, and a call that fails is
/// logged: the next one is its retry.
pub(crate) async fn run(rule: ScheduleRule, instance: Instance, wake: Wake, stopped: Stopped) {
    every(rule.every, stopped, || call(&rule, &instance, &wake)).await;
}

async fn every<F: Future<Output = ()>>(period: Duration, mut stopped: Stopped, action: impl Fn() -> F) {
    let mut ticks = interval_at(tokio::time::Instant::now() + period, period);
    // After a machine's sleep, the missed calls are not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => action().await,
            () = stopped.over() => return,
        }
    }
}

async fn call(rule: &ScheduleRule, instance: &Instance, wake: &Wake) {
    let request_id = jobledger::Environment::fresh_id().to_string();
    let event = match event(rule, instance.name(), &request_id) {
        Ok(event) => event,
        Err(error) => {
            tracing::error!(function = instance.name(), schedule = rule.id, %error, "the schedule's Input is no JSON");
            return;
        }
    };
    if let Err(error) = instance.call(event, request_id).await {
        let error: &dyn std::error::Error = &error;
        tracing::error!(function = instance.name(), schedule = rule.id, error, "a scheduled call failed");
    }
    wake.ring();
}

/// The template's `Input`, or the event that the service would send.
fn event(rule: &ScheduleRule, function: &str, id: &str) -> serde_json::Result<Box<RawValue>> {
    if let Some(input) = &rule.input {
        return RawValue::from_string(input.clone());
    }
    let name = format!("{function}-{}", rule.id);
    let (source, resource) = match rule.kind {
        ScheduleKind::Rule => ("aws.events", format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}")),
        ScheduleKind::Scheduler => {
            ("aws.scheduler", format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"))
        }
    };
    to_raw_value(&json!({
        "version": "0",
        "id": id,
        "detail-type": "Scheduled Event",
        "source": source,
        "account": ACCOUNT,
        "time": clock::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": REGION,
        "resources": [resource],
        "detail": {},
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use serde_json::Value;

    use super::{event, every};
    use crate::stop::Stop;
    use crate::template::{ScheduleKind, ScheduleRule};

    fn rule(input: Option<&str>) -> ScheduleRule {
        ScheduleRule {
            id: "Tick".to_owned(),
            every: Duration::from_mins(1),
            kind: ScheduleKind::Rule,
            input: input.map(str::to_owned),
        }
    }

    #[test]
    fn the_event_is_eventbridges_or_the_templates() {
        let made: Value = serde_json::from_str(event(&rule(None), "sweep", "7").unwrap().get()).unwrap();
        assert_eq!(made["source"], "aws.events");
        assert_eq!(made["resources"][0], "arn:aws:events:us-east-1:000000000000:rule/sweep-Tick");
        assert_eq!(event(&rule(Some(r#"{"a":1}"#)), "sweep", "7").unwrap().get(), r#"{"a":1}"#);
        assert!(event(&rule(Some("{")), "sweep", "7").is_err());
    }

    #[tokio::test]
    async fn it_ticks_until_it_is_stopped() {
        let (stop, stopped) = Stop::new();
        let ticks = AtomicU32::new(0);
        every(Duration::from_millis(1), stopped, || async {
            if ticks.fetch_add(1, Ordering::Relaxed) == 2 {
                stop.stop();
            }
        })
        .await;
        assert!(ticks.load(Ordering::Relaxed) >= 3);
    }
}
