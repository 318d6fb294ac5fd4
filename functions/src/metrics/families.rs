//! The metrics that a scrape shows, family by family. Every series of a known type is there from zero.

use std::collections::BTreeSet;
use std::fmt;

use jobledger::counts::{BOUNDS_MS, Cell, Gathered, Measure, Tally, TryEnd};
use jobledger::domain::{NO_STATUS, RecordStatus, Status};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::operations;

/// The numbers of one scrape, as families of series.
#[derive(Debug)]
pub(crate) struct Families(pub(crate) Gathered);

impl Families {
    fn by_type(
        &self,
        encoder: &mut MetricEncoder<'_>,
        write: impl Fn(&mut MetricEncoder<'_>, &Tally) -> fmt::Result,
    ) -> fmt::Result {
        for (kind, tally) in &self.0.scrape.types {
            write(&mut encoder.encode_family(&[("type", kind.as_str())])?, tally)?;
        }
        Ok(())
    }

    fn by_type_and_status(
        &self,
        encoder: &mut MetricEncoder<'_>,
        statuses: &[Status],
        write: impl Fn(&mut MetricEncoder<'_>, &Tally, Status) -> fmt::Result,
    ) -> fmt::Result {
        for (kind, tally) in &self.0.scrape.types {
            for &status in statuses {
                let labels = [("type", kind.as_str()), ("status", status.as_str())];
                write(&mut encoder.encode_family(&labels)?, tally, status)?;
            }
        }
        Ok(())
    }

    fn histogram(encoder: &mut MetricEncoder<'_>, measure: Measure, tally: &Tally) -> fmt::Result {
        let mut buckets = Vec::with_capacity(BOUNDS_MS.len() + 1);
        for (index, bound) in (0_u8..).zip(BOUNDS_MS.iter().copied().map(seconds).chain([f64::INFINITY])) {
            buckets.push((bound, tally.count(Cell::Histogram(measure, index))));
        }
        let sum = seconds(tally.count(Cell::SumMs(measure)));
        let count = tally.count(Cell::Count(measure));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    /// The numbers that the last look at the queues saw; none before the first one.
    fn encode_queue(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(queue) = &self.0.scrape.queue else { return Ok(()) };
        let gauge = MetricType::Gauge;
        let help =
            "How long the job has waited that has been due for longest, by type; none where none waits";
        let name = "jobledger_queue_oldest_waiting";
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge)?;
        for (kind, noted) in &queue.types {
            if let Some(due) = noted.oldest_due {
                family
                    .encode_family(&[("type", kind.as_str())])?
                    .encode_gauge(&seconds(self.0.now.since(due)))?;
            }
        }

        let help = "Jobs that workers hold, by type";
        let mut family = encoder.encode_descriptor("jobledger_active_tries", help, None, gauge)?;
        let kinds: BTreeSet<_> = self.0.scrape.types.keys().chain(queue.types.keys()).collect();
        for kind in kinds {
            let tries = queue.types.get(kind).map_or(0, |noted| noted.tries);
            family.encode_family(&[("type", kind.as_str())])?.encode_gauge(&tries)?;
        }

        let help = "Workers that hold a job";
        let mut family = encoder.encode_descriptor("jobledger_active_workers", help, None, gauge)?;
        family.encode_gauge(&queue.workers)?;

        let help = "When the queues were last looked at, in Unix time";
        let name = "jobledger_queue_noted_timestamp";
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge)?;
        family.encode_gauge(&seconds(u64::try_from(queue.noted_at.millis()).unwrap_or(0)))
    }

    /// The records that jobs produced; nothing of a kind and status that none has.
    fn encode_records(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let gauge = MetricType::Gauge;
        let help = "Records that are there now, by kind and status; status none is for those without one";
        let mut family = encoder.encode_descriptor("jobledger_records", help, None, gauge)?;
        for ((kind, status), count) in &self.0.scrape.records {
            let status = status.as_ref().map_or(NO_STATUS, RecordStatus::as_str);
            family.encode_family(&[("kind", kind.as_str()), ("status", status)])?.encode_gauge(count)?;
        }
        let help = "1 where there are more kinds and statuses of records than a scrape shows, else 0";
        let mut family = encoder.encode_descriptor("jobledger_records_cut", help, None, gauge)?;
        family.encode_gauge(&u64::from(self.0.scrape.are_records_cut))
    }

    /// The numbers that the last recount found; none before the first one.
    fn encode_recount(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(recounted) = &self.0.scrape.recounted else { return Ok(()) };
        let help = "Numbers that the last recount found wrong and left so: * in the sums of all owners, owners in theirs";
        let mut family = encoder.encode_descriptor("jobledger_tally_drift", help, None, MetricType::Gauge)?;
        for (scope, count) in recounted.drift_by_scope() {
            family.encode_family(&[("scope", scope)])?.encode_gauge(&count)?;
        }

        let help = "When the last recount of all owners ended, in Unix time";
        let name = "jobledger_tally_recount_finished_timestamp";
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        family.encode_gauge(&seconds(u64::try_from(recounted.finished_at.millis()).unwrap_or(0)))?;

        let help = "Buckets that the last recount could not compare because they kept changing";
        let mut family = encoder.encode_descriptor(
            "jobledger_tally_recount_busy_buckets",
            help,
            None,
            MetricType::Gauge,
        )?;
        family.encode_gauge(&recounted.busy)
    }
}

/// Prometheus wants seconds, as a float.
#[expect(clippy::cast_precision_loss, clippy::float_arithmetic, reason = "shown, never counted with")]
pub(super) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (gauge, counter, histogram) = (MetricType::Gauge, MetricType::Counter, MetricType::Histogram);
        let help = "Jobs that are there now, by type and status";
        let mut family = encoder.encode_descriptor("jobledger_jobs", help, None, gauge)?;
        self.by_type_and_status(&mut family, &Status::ALL, |series, tally, status| {
            series.encode_gauge(&tally.count(Cell::Alive(status)))
        })?;

        let help = "Queued jobs, by type and by how they wait";
        let mut family = encoder.encode_descriptor("jobledger_queue_jobs", help, None, gauge)?;
        for (kind, tally) in &self.0.scrape.types {
            for (wait, count) in self.0.scrape.waits(kind, tally) {
                let labels = [("type", kind.as_str()), ("state", wait.as_str())];
                family.encode_family(&labels)?.encode_gauge(&count)?;
            }
        }

        let help = "Jobs that were ever created, by type";
        let mut family = encoder.encode_descriptor("jobledger_jobs_created", help, None, counter)?;
        self.by_type(&mut family, |series, tally| {
            series.encode_counter::<NoLabelSet, _, u64>(&tally.count(Cell::Created), None)
        })?;

        let help = "Jobs that were deleted or expired, by type; created less removed are there now";
        let mut family = encoder.encode_descriptor("jobledger_jobs_removed", help, None, counter)?;
        self.by_type(&mut family, |series, tally| {
            series.encode_counter::<NoLabelSet, _, u64>(&tally.count(Cell::Removed), None)
        })?;

        let help = "Times that jobs ended, by type and by how";
        let mut family = encoder.encode_descriptor("jobledger_jobs_ended", help, None, counter)?;
        let ends: Vec<Status> = Status::ALL.into_iter().filter(|status| status.is_ended()).collect();
        self.by_type_and_status(&mut family, &ends, |series, tally, status| {
            let count = tally.count(Cell::Ended(status));
            series.encode_counter::<NoLabelSet, _, u64>(&count, None)
        })?;

        let help = "Times that jobs failed, by type and by the code of the error";
        let mut family = encoder.encode_descriptor("jobledger_job_failures", help, None, counter)?;
        for (kind, codes) in &self.0.scrape.failures {
            for (code, count) in codes {
                let labels = [("type", kind.as_str()), ("code", code.as_str())];
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
            }
        }

        let help = "Tries that ended, by type and by how";
        let mut family = encoder.encode_descriptor("jobledger_job_tries", help, None, counter)?;
        for (kind, tally) in &self.0.scrape.types {
            for end in TryEnd::ALL {
                let labels = [("type", kind.as_str()), ("outcome", end.as_str())];
                let count = tally.count(Cell::Tries(end));
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }

        for (name, help, measure) in [
            ("jobledger_job_wait", "From being due until a try began, by type", Measure::Wait),
            ("jobledger_job_run", "From the beginning of the last try to the end, by type", Measure::Run),
        ] {
            let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), histogram)?;
            self.by_type(&mut family, |series, tally| Self::histogram(series, measure, tally))?;
        }

        let help = "Types of jobs that a scrape does not show, as there are too many";
        let mut family = encoder.encode_descriptor("jobledger_types_left_out", help, None, gauge)?;
        family.encode_gauge(&self.0.scrape.types_left_out)?;

        let help = "How far the counters lag behind the jobs";
        let mut family =
            encoder.encode_descriptor("jobledger_tally_lag", help, Some(&Unit::Seconds), gauge)?;
        family.encode_gauge(&seconds(self.0.lag_ms))?;

        let help = "When the newest change that was counted was written, by stream, in Unix time";
        let name = "jobledger_counted_until_timestamp";
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge)?;
        for (stream, time) in self.0.counted_until() {
            let seconds = seconds(u64::try_from(time.millis()).unwrap_or(0));
            family.encode_family(&[("stream", stream.as_str())])?.encode_gauge(&seconds)?;
        }

        let help = "Stream records that could not be read, and so were not counted";
        let mut family = encoder.encode_descriptor("jobledger_tally_failed_records", help, None, counter)?;
        family.encode_counter::<NoLabelSet, _, u64>(&self.0.scrape.failed_records, None)?;

        self.encode_records(&mut encoder)?;
        self.encode_queue(&mut encoder)?;
        self.encode_recount(&mut encoder)?;
        operations::encode(&self.0.scrape, &mut encoder)?;

        service(&mut encoder, true)
    }
}

/// The metrics while the store does not answer.
#[derive(Debug)]
pub(crate) struct Down;

impl Collector for Down {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        service(&mut encoder, false)
    }
}

/// The version of the service, and whether the store answers.
fn service(encoder: &mut DescriptorEncoder<'_>, is_up: bool) -> fmt::Result {
    let help = "1 if DynamoDB answered this scrape, else 0; then nothing else is known";
    let mut family = encoder.encode_descriptor("jobledger_dynamodb_up", help, None, MetricType::Gauge)?;
    family.encode_gauge(&u64::from(is_up))?;
    let help = "The version of the service; always 1";
    let mut family = encoder.encode_descriptor("jobledger_build_info", help, None, MetricType::Gauge)?;
    family.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?.encode_gauge(&1_u64)
}
