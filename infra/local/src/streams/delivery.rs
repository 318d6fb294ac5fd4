//! Delivering a shard's records: in batches, in order, with retries until they are accepted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Subscription;
use super::event::{self, Answer, Call};
use super::positions::{Position, Positions};
use super::record::Change;
use super::window::{OpenWindow, Tumbling};
use crate::invoke::{Instance, PAYLOAD_MAX_BYTES};
use crate::pattern::Pattern;
use crate::stop::Stopped;
use crate::template::{DynamoDbSource, Retries};

/// The first wait before a failed batch is retried; it doubles each time.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Doublings after which the wait grows no more.
const BACKOFF_DOUBLINGS_MAX: u32 = 6;
/// The most bytes of an event beside its records.
const ENVELOPE_MAX_BYTES: usize = 2 * super::window::STATE_MAX_BYTES;

/// The values that are the same for all shards of a subscription.
pub(super) struct Mapping {
    pub(super) positions: Arc<Positions>,
    instance: Instance,
    source: DynamoDbSource,
    tumbling: Option<Tumbling>,
    arn: String,
    delivered: Arc<AtomicU64>,
    stopped: Stopped,
}

/// The end of a delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// Everything is delivered, or given up where the template says when.
    Done,
    /// The stack stops. A batch that is not delivered yet is delivered after the next start.
    Stopped,
}

/// One shard's deliveries, one after the other.
pub(super) struct Lane {
    shard: String,
    window: Option<OpenWindow>,
}

impl Mapping {
    pub(super) fn new(
        subscription: Subscription,
        positions: Arc<Positions>,
        delivered: Arc<AtomicU64>,
        stopped: Stopped,
    ) -> Self {
        let Subscription { instance, source, stream_arn } = subscription;
        let tumbling = source.window.map(Tumbling::new);
        Self { positions, instance, source, tumbling, arn: stream_arn, delivered, stopped }
    }

    pub(super) fn name(&self) -> &str {
        self.instance.name()
    }

    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.source.patterns
    }

    fn gives_up(&self, failures: u32) -> bool {
        match self.source.retries {
            Retries::Forever => false,
            Retries::AtMost(times) => failures > times,
        }
    }

    /// Waits before the next attempt, or until the stack stops.
    async fn back_off(&self, failures: u32) -> Outcome {
        let wait = BACKOFF_MAX.min(BACKOFF_MIN * 2_u32.pow(failures.min(BACKOFF_DOUBLINGS_MAX)));
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = tokio::time::sleep(wait) => Outcome::Done,
            () = stopped.over() => Outcome::Stopped,
        }
    }
}

impl Lane {
    /// Goes on where the last run ended.
    pub(super) fn resume(shard: String, positions: &Positions) -> Self {
        let window = match positions.get(&shard) {
            Some(Position::Reading { window, .. }) => window,
            Some(Position::Finished) | None => None,
        };
        Self { shard, window }
    }

    pub(super) fn shard(&self) -> &str {
        &self.shard
    }

    /// Whether the open window's time is over.
    pub(super) fn window_is_over(&self, second: i64) -> bool {
        self.window.as_ref().is_some_and(|window| !window.takes(second))
    }

    /// Delivers records, in batches that each belong to one window.
    pub(super) async fn deliver(&mut self, mapping: &Mapping, changes: &[Change]) -> Outcome {
        let mut rest = changes;
        while !rest.is_empty() {
            // A record that matches no pattern neither opens nor closes a window.
            let first_wanted = rest.iter().find(|change| change.wanted.is_some());
            if let (Some(tumbling), Some(first)) = (mapping.tumbling, first_wanted) {
                if self.window_is_over(first.second) && self.close_window(mapping).await == Outcome::Stopped {
                    return Outcome::Stopped;
                }
                self.window.get_or_insert_with(|| tumbling.at(first.second));
            }
            let length =
                batch_length(rest, mapping.source.batch_size, |change| !self.window_is_over(change.second));
            let (batch, after) = rest.split_at(length);
            if self.deliver_batch(mapping, batch).await == Outcome::Stopped {
                return Outcome::Stopped;
            }
            rest = after;
        }
        Outcome::Done
    }

    /// Sends the last call of the open window, if one is open.
    pub(super) async fn close_window(&mut self, mapping: &Mapping) -> Outcome {
        let outcome = self.last_call(mapping, Call::Last).await;
        if outcome == Outcome::Done
            && self.window.take().is_some()
            && let Some(Position::Reading { after, .. }) = mapping.positions.get(&self.shard)
        {
            mapping.positions.set(&self.shard, Position::Reading { after, window: None });
        }
        outcome
    }

    async fn deliver_batch(&mut self, mapping: &Mapping, batch: &[Change]) -> Outcome {
        let wanted: Vec<&Change> = batch.iter().filter(|change| change.wanted.is_some()).collect();
        let mut parts = VecDeque::new();
        if !wanted.is_empty() {
            parts.push_back(wanted.as_slice());
        }
        let mut failures = 0;
        while let Some(part) = parts.pop_front() {
            let taken = self.call(mapping, part, Call::Records).await;
            if taken > 0 {
                failures = 0;
                mapping.delivered.fetch_add(1, Ordering::Relaxed);
                self.keep(mapping, part[taken - 1]);
            }
            let left = &part[taken..];
            if left.is_empty() {
                if self.window.as_ref().is_some_and(OpenWindow::is_too_full)
                    && self.last_call(mapping, Call::TooFull).await == Outcome::Stopped
                {
                    return Outcome::Stopped;
                }
                continue;
            }
            if mapping.source.bisect && left.len() > 1 {
                // Halving is not a retry: it finds the record that fails, which then uses up its retries alone.
                let (first, second) = left.split_at(left.len() / 2);
                parts.push_front(second);
                parts.push_front(first);
            } else {
                failures += 1;
                if mapping.gives_up(failures) {
                    tracing::error!(
                        function = mapping.name(),
                        first = left[0].sequence,
                        records = left.len(),
                        "records were given up, as the template says; on AWS the on-failure queue would tell"
                    );
                    failures = 0;
                    continue;
                }
                parts.push_front(left);
            }
            if mapping.back_off(failures).await == Outcome::Stopped {
                return Outcome::Stopped;
            }
        }
        if let Some(last) = batch.last() {
            self.keep(mapping, last);
        }
        Outcome::Done
    }

    /// Calls the function without records, until it succeeds.
    async fn last_call(&mut self, mapping: &Mapping, call: Call) -> Outcome {
        let mut failures = 0;
        while self.window.is_some() {
            if self.invoke(mapping, &[], call).await.is_some() {
                if let (Call::TooFull, Some(window)) = (call, &mut self.window) {
                    window.state.clear();
                }
                return Outcome::Done;
            }
            failures += 1;
            if mapping.gives_up(failures) {
                return Outcome::Done;
            }
            if mapping.back_off(failures).await == Outcome::Stopped {
                return Outcome::Stopped;
            }
        }
        Outcome::Done
    }

    /// Calls the function once; returns how many records it accepted, from the first on.
    async fn call(&mut self, mapping: &Mapping, records: &[&Change], call: Call) -> usize {
        let Some(answer) = self.invoke(mapping, records, call).await else { return 0 };
        let failed = if mapping.source.reports_failures { answer.failed_from(records) } else { None };
        if let Some(window) = &mut self.window {
            window.state = answer.state.unwrap_or_default();
        }
        failed.unwrap_or(records.len())
    }

    async fn invoke(&self, mapping: &Mapping, records: &[&Change], call: Call) -> Option<Answer> {
        let event = match event::write(records, self.window.as_ref(), call, &self.shard, &mapping.arn) {
            Ok(event) => event,
            Err(error) => {
                tracing::error!(function = mapping.name(), %error, "an event could not be written");
                return None;
            }
        };
        let request_id = jobledger::Environment::fresh_id().to_string();
        match mapping.instance.call(event, request_id).await {
            Ok(answer) => Some(Answer::of(&answer)),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    function = mapping.name(),
                    error,
                    records = records.len(),
                    "a delivery failed"
                );
                None
            }
        }
    }

    fn keep(&self, mapping: &Mapping, last: &Change) {
        let position = Position::Reading { after: last.sequence.clone(), window: self.window.clone() };
        mapping.positions.set(&self.shard, position);
    }
}

/// The number of records in a batch: at most as many matching ones as the function accepts, none of another window, and
/// no more than an event may hold.
fn batch_length(changes: &[Change], wanted_max: usize, same_window: impl Fn(&Change) -> bool) -> usize {
    let mut wanted = 0;
    let mut bytes = ENVELOPE_MAX_BYTES;
    for (index, change) in changes.iter().enumerate() {
        let Some(text) = &change.wanted else { continue };
        wanted += 1;
        bytes += text.get().len() + 1;
        let full = wanted > wanted_max || bytes > PAYLOAD_MAX_BYTES || !same_window(change);
        // One matching record always fits: an event has room for two of DynamoDB's largest items.
        if full && wanted > 1 {
            return index;
        }
    }
    changes.len()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::batch_length;
    use crate::streams::record::Change;

    fn change(second: i64, wanted: Option<usize>) -> Change {
        let text = wanted.map(|bytes| RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).unwrap());
        Change { sequence: second.to_string(), second, wanted: text }
    }

    #[test]
    fn only_wanted_records_fill_a_batch() {
        let changes: Vec<_> = (0..6).map(|second| change(second, (second % 2 == 0).then_some(1))).collect();
        assert_eq!(batch_length(&changes, 2, |_| true), 4);
        assert_eq!(batch_length(&changes, 3, |_| true), 6);
        assert_eq!(batch_length(&[], 3, |_| true), 0);
    }

    #[test]
    fn a_batch_stays_in_its_window_and_under_lambdas_limit() {
        let changes: Vec<_> = (0..6).map(|second| change(second, Some(1))).collect();
        assert_eq!(batch_length(&changes, 100, |change| change.second < 4), 4);
        let large: Vec<_> = (0..6).map(|second| change(second, Some(800 * 1024))).collect();
        assert_eq!(batch_length(&large, 100, |_| true), 5);
    }
}
