//! The report for people.

use crate::amount::{Amount, grouped};
use crate::load::Load;
use crate::measure::Cost;

use super::{Machine, Promise, Report, Row, Verdict, queue};

/// Writes the whole report.
pub(super) fn write(report: &Report) -> String {
    let mut lines = vec!["# Benchmark".to_owned(), String::new()];
    lines.extend(about(report));
    lines.push(String::new());
    if !report.loads.is_empty() {
        lines.push("## Loading".to_owned());
        lines.push(String::new());
        lines.extend(loading(&report.loads));
        lines.push(String::new());
        lines.push("## Operations".to_owned());
        lines.push(String::new());
        lines.push(
            "Each cell has the median, then the highest value (of milliseconds, the 95th percentile). Growth is read and \
             write units at the most jobs, divided by those at the fewest."
                .to_owned(),
        );
        lines.push(String::new());
        lines.extend(operations(report));
        lines.push(String::new());
    }
    lines.extend(report.queue.iter().flat_map(queue::write));
    lines.push("## Promises".to_owned());
    lines.push(String::new());
    lines.push(cells(["promise", "measured", "holds"]));
    lines.push(rule(3));
    lines.extend(report.promises.iter().map(promise));
    lines.push(String::new());
    lines.join("\n")
}

fn about(report: &Report) -> Vec<String> {
    let Machine { cores, target, profile, engine, version } = &report.machine;
    let date = report.date.as_deref().map(|date| format!("{date}: ")).unwrap_or_default();
    let cores = cores.map_or_else(|| "unknown".to_owned(), |cores| cores.to_string());
    vec![
        format!("{date}jobledger {version}, profile {profile}, on {cores} cores of {target}."),
        format!("Engine: {engine}."),
        format!("{} calls of each operation after one to warm up; seed {}.", report.calls, report.seed),
    ]
}

fn loading(loads: &[Load]) -> Vec<String> {
    let head = [
        "jobs",
        "jobs/s loaded",
        "jobs/s counted",
        "loaded in",
        "counted after",
        "database",
        "resident MiB, by tenths of the load",
        "highest MiB",
    ];
    let mut lines = vec![cells(head), rule(head.len())];
    for load in loads {
        let resident = |kib: Option<u64>| kib.map_or_else(|| "?".to_owned(), |kib| (kib / 1_024).to_string());
        let each =
            load.samples.iter().map(|sample| resident(sample.memory.map(|memory| memory.resident_kib)));
        lines.push(cells([
            grouped(load.jobs),
            grouped(load.loaded_per_second),
            grouped(load.counted_per_second),
            format!("{:.1} s", Amount::from_thousandths(load.load_ms)),
            format!("{:.1} s", Amount::from_thousandths(load.settle_ms)),
            format!("{} MiB", grouped(load.database_bytes / 1_048_576)),
            each.collect::<Vec<_>>().join(", "),
            resident(load.memory_settled.map(|memory| memory.peak_kib)),
        ]));
    }
    lines
}

fn operations(report: &Report) -> Vec<String> {
    let mut lines = head_of_costs("operation", report.loads.iter().map(|load| load.jobs));
    lines.extend(report.operations.iter().filter(|row| row.skipped.is_none()).map(operation));
    let skipped: Vec<_> = report.operations.iter().filter_map(skipped).collect();
    if !skipped.is_empty() {
        lines.push(String::new());
        lines.push("Not measured:".to_owned());
        lines.push(String::new());
        lines.extend(skipped);
    }
    lines
}

/// The head of a table of costs at these sizes.
pub(super) fn head_of_costs(what: &str, sizes: impl IntoIterator<Item = u64>) -> Vec<String> {
    let mut head = vec![what.to_owned()];
    for size in sizes {
        head.push(format!("{}: round trips", grouped(size)));
        head.extend(["read", "write", "ms"].map(str::to_owned));
    }
    head.push("growth".to_owned());
    let columns = head.len();
    vec![cells(head), rule(columns)]
}

fn operation(row: &Row) -> String {
    costs(row.operation, &row.sizes, row.growth)
}

/// A line with a cost at each size, and its growth.
pub(super) fn costs(name: &str, sizes: &[Cost], growth: Option<Amount>) -> String {
    let mut line = vec![name.to_owned()];
    for Cost { calls: _, round_trips, read_units, write_units, milliseconds } in sizes {
        line.push(format!("{} / {}", round_trips.median, round_trips.max));
        line.push(format!("{} / {}", read_units.median, read_units.max));
        line.push(format!("{} / {}", write_units.median, write_units.max));
        line.push(format!("{:.1} / {:.1}", milliseconds.median, milliseconds.p95));
    }
    line.push(growth.map_or_else(|| "–".to_owned(), |growth| format!("{growth:.2}")));
    cells(line)
}

fn skipped(row: &Row) -> Option<String> {
    Some(format!("- {} (`{}`): {}", row.operation, row.route, row.skipped.as_ref()?))
}

fn promise(promise: &Promise) -> String {
    let holds = match promise.holds {
        Verdict::Holds => "yes",
        Verdict::Broken => "**no**",
        Verdict::Unknown => "unknown",
    };
    cells([promise.promise.as_str(), promise.measured.as_str(), holds])
}

pub(super) fn cells<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> String {
    cells.into_iter().fold("|".to_owned(), |line, cell| line + " " + cell.as_ref() + " |")
}

pub(super) fn rule(columns: usize) -> String {
    format!("|{}", "---|".repeat(columns))
}
