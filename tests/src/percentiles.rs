//! The percentiles that statistics must show, computed without the service's code.

use serde_json::{Value, json};

/// The bounds of the histograms that the API reference names, in milliseconds.
const BOUNDS_MS: [u64; 13] = [
    100, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 14_400_000, 43_200_000,
    86_400_000,
];

/// The percentiles of these times, in seconds; null: there are none.
pub fn percentiles(times_ms: &[u64]) -> Value {
    if times_ms.is_empty() {
        return Value::Null;
    }
    json!({ "p50": seconds(times_ms, 50), "p95": seconds(times_ms, 95), "p99": seconds(times_ms, 99) })
}

/// The time that so many of a hundred do not exceed, if the times within two bounds are spread evenly.
fn seconds(times_ms: &[u64], percent: u64) -> Value {
    let up_to = |bound: u64| times_ms.iter().filter(|time| **time <= bound).count() as u64;
    let rank = percent * times_ms.len() as u64;
    let reaches = BOUNDS_MS.iter().position(|bound| up_to(*bound) * 100 >= rank);
    let millis = match reaches {
        None => 86_400_000,
        Some(place) => {
            let (begin, before) = place.checked_sub(1).map_or((0, 0), |place| {
                let bound = BOUNDS_MS[place];
                (bound, up_to(bound))
            });
            let (end, count) = (BOUNDS_MS[place], up_to(BOUNDS_MS[place]) - before);
            begin + (end - begin) * (rank - 100 * before) / (100 * count)
        }
    };
    format!("{}.{:03}", millis / 1_000, millis % 1_000).parse().expect("a number")
}
