//! Files of any size.

use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::command::{Source, ingest};
use crate::mock::{Fate, Mock};

const JOBS: u64 = 200_000;
/// The padding of a job: the whole file has about 100 MB.
const PADDING: usize = 400;
/// Most memory that the process may ever have: one call in several forms, buffers, and the program itself. The whole
/// file needs far more.
const MAX_RESIDENT_KB: u64 = 40_000;

/// The most memory that a process has held so far.
fn peak_kb(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[tokio::test]
async fn two_hundred_thousand_jobs_stream_through_little_memory() {
    let source = Source::new("");
    let mut file = BufWriter::new(std::fs::File::create(&source.path).unwrap());
    let padding = "x".repeat(PADDING);
    writeln!(file, "[").unwrap();
    for number in 0..JOBS {
        let comma = if number == 0 { "" } else { "," };
        writeln!(file, "{comma}{{\"external_id\":\"{number}\",\"payload\":\"{padding}\"}}").unwrap();
    }
    writeln!(file, "]").unwrap();
    file.into_inner().unwrap().sync_all().unwrap();

    let process = Arc::new(AtomicU64::new(0));
    let peak = Arc::new(AtomicU64::new(0));
    let next = Arc::new(AtomicU64::new(0));
    let mock = {
        let (process, peak, next) = (process.clone(), peak.clone(), next.clone());
        Mock::scripted(move |call| {
            // All of them, in their order, none twice.
            for job in &call.jobs {
                let expected = format!("{{\"external_id\":\"{}\",", next.fetch_add(1, Ordering::Relaxed));
                assert!(job.starts_with(&expected), "{expected} is not the beginning of {job}");
            }
            let process = u32::try_from(process.load(Ordering::Relaxed)).unwrap();
            peak.fetch_max(peak_kb(process).unwrap_or_default(), Ordering::Relaxed);
            let answer = json!({ "created": call.jobs.len(), "updated": 0, "unchanged": 0, "rejected": [] });
            Fate::Refused(200, None, answer)
        })
        .await
    };
    mock.forget();
    let running = ingest(&source.path, &mock.url).with(&["--batch", "10000"]).start();
    process.store(running.id().into(), Ordering::Relaxed);
    running.ended().await.is(0, [JOBS, 0, 0, 0]);
    assert_eq!(next.load(Ordering::Relaxed), JOBS);
    // Only Linux tells how much memory a process had.
    if cfg!(target_os = "linux") {
        let peak = peak.load(Ordering::Relaxed);
        assert!((1..MAX_RESIDENT_KB).contains(&peak), "{peak} KB");
    }
}
