//! The metrics of the functions themselves: their requests, the store, events, starts and memory.

use std::collections::BTreeMap;
use std::fmt;

use jobledger::counts::{Cell, Scrape};
use jobledger::domain::{Status, is_reserved};
use jobledger::store::FunctionSums;
use jobledger::telemetry::{DURATION_BOUNDS_MS, EventOutcome, Number};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::families::seconds;

/// A histogram of durations.
#[derive(Clone, Copy, Debug, Default)]
struct Durations {
    counts: [u64; DURATION_BOUNDS_MS.len() + 1],
    micros: u64,
}

impl Durations {
    fn count(&mut self, bucket: u8, by: u64) {
        if let Some(count) = self.counts.get_mut(usize::from(bucket)) {
            *count += by;
        }
    }

    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = DURATION_BOUNDS_MS.iter().copied().map(seconds).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(self.counts).collect();
        let sum = seconds_of_micros(self.micros);
        encoder.encode_histogram::<NoLabelSet>(sum, self.counts.iter().sum(), &buckets, None)
    }
}

/// Prometheus wants seconds, as a float.
#[expect(clippy::cast_precision_loss, clippy::float_arithmetic, reason = "shown, never counted with")]
fn seconds_of_micros(micros: u64) -> f64 {
    micros as f64 / 1_000_000.0
}

/// Writes all of them.
pub(super) fn encode(scrape: &Scrape, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let functions = &scrape.functions;
    requests(functions, encoder)?;
    durations(functions, encoder)?;
    store(functions, encoder)?;
    events(functions, encoder)?;
    starts(functions, encoder)?;

    let help = "Background tasks that wait or run: bulk actions and recounts";
    let mut family = encoder.encode_descriptor("jobledger_active_tasks", help, None, MetricType::Gauge)?;
    let tasks = scrape.types.iter().filter(|(kind, _)| is_reserved(kind));
    let is_active = |status: &Status| !status.is_ended();
    let active = tasks.flat_map(|(_, tally)| {
        Status::ALL.into_iter().filter(is_active).map(|status| tally.count(Cell::Alive(status)))
    });
    family.encode_gauge(&active.sum::<u64>())
}

fn requests(functions: &BTreeMap<String, FunctionSums>, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Requests that were answered, by function, route and status";
    let counter = MetricType::Counter;
    let mut family = encoder.encode_descriptor("jobledger_http_requests", help, None, counter)?;
    for (function, sums) in functions {
        for (number, count) in &sums.numbers {
            let Number::Requests(status, route) = number else { continue };
            let (method, route) = route.split_once(' ').unwrap_or(("other", route));
            let status = status.to_string();
            let labels =
                [("function", function.as_str()), ("method", method), ("route", route), ("status", &status)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
    }
    Ok(())
}

fn durations(functions: &BTreeMap<String, FunctionSums>, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "From a request's arrival in a function to its answer, by function";
    let name = "jobledger_http_request_duration";
    let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (function, sums) in functions {
        let mut durations = Durations { micros: sums.get(&Number::DurationSum), ..Durations::default() };
        for (number, count) in &sums.numbers {
            if let Number::Duration(bucket) = number {
                durations.count(*bucket, *count);
            }
        }
        if durations.counts.iter().any(|count| *count > 0) {
            durations.encode(&mut family.encode_family(&[("function", function.as_str())])?)?;
        }
    }
    Ok(())
}

fn store(functions: &BTreeMap<String, FunctionSums>, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut operations: BTreeMap<&str, Durations> = BTreeMap::new();
    for (number, count) in functions.values().flat_map(|sums| &sums.numbers) {
        match number {
            Number::Operation(operation, bucket) => {
                operations.entry(operation).or_default().count(*bucket, *count);
            }
            Number::OperationSum(operation) => operations.entry(operation).or_default().micros += count,
            _ => {}
        }
    }
    let help = "From a request to DynamoDB to its answer, with the retries of the SDK, by operation";
    let name = "jobledger_dynamodb_request_duration";
    let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (operation, durations) in operations {
        durations.encode(&mut family.encode_family(&[("operation", operation)])?)?;
    }
    Ok(())
}

fn events(functions: &BTreeMap<String, FunctionSums>, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Events of streams, by the function that they call and by what became of them";
    let counter = MetricType::Counter;
    let mut family = encoder.encode_descriptor("jobledger_events_processed", help, None, counter)?;
    for (function, sums) in functions {
        let is_consumer = sums.numbers.keys().any(|number| matches!(number, Number::Events(_)));
        for outcome in EventOutcome::ALL.into_iter().filter(|_| is_consumer) {
            let labels = [("consumer", function.as_str()), ("outcome", outcome.as_str())];
            let count = sums.get(&Number::Events(outcome));
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
    }
    Ok(())
}

fn starts(functions: &BTreeMap<String, FunctionSums>, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Execution environments that were started, by function";
    let counter = MetricType::Counter;
    let mut family = encoder.encode_descriptor("jobledger_cold_starts", help, None, counter)?;
    for (function, sums) in functions {
        let labels = [("function", function.as_str())];
        let count = sums.get(&Number::ColdStarts);
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }

    let help =
        "The greatest memory of an execution environment in the last minute with requests, by function";
    let name = "jobledger_process_memory";
    let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
    for (function, sums) in functions {
        let Some(memory) = sums.memory else { continue };
        for (kind, bytes) in [("resident", memory.resident), ("virtual", memory.virtual_)] {
            let labels = [("function", function.as_str()), ("type", kind)];
            family.encode_family(&labels)?.encode_gauge(&bytes)?;
        }
    }
    Ok(())
}
