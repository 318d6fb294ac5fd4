//! Counts, statistics and costs: their cost is the same with ten times the jobs.

use jobledger_tests::alone::Request;
use serde_json::{Value, json};

use super::{CostFixture, Metered, completed};

/// Jobs of the first measurement: two in each hour of two days.
const FEW: usize = 96;
/// Jobs of the second measurement.
const MANY: usize = 960;
/// The bounds of the range, within the two days.
const DATES: [&str; 2] = ["2026-03-02T10:20:00Z", "2026-03-03T20:45:00Z"];

/// Jobs that lie in the same half hours, however many they are.
fn jobs(numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|number| completed(number, number % FEW * 30)).collect()
}

struct Question {
    function: Metered,
    what: &'static str,
    path: String,
    /// The place of a number of jobs in the answer, and that number with `FEW` jobs.
    counted: (&'static str, usize),
    /// Round trips and read units at most.
    most: (u32, usize),
}

#[tokio::test]
async fn numbers_cost_the_same_with_ten_times_the_jobs() {
    let fixture = CostFixture::start().await;
    let [from, to] = DATES;
    let mut questions = Vec::new();
    for (name, what, path, counted, most) in [
        ("get-job-count", "count", "/v1/jobs/count".to_owned(), ("/total", FEW), (1, 1)),
        (
            "get-job-count",
            "count of a status",
            "/v1/jobs/count?status=completed".to_owned(),
            ("/total", FEW),
            (1, 1),
        ),
        (
            "get-job-count",
            "count within dates",
            format!("/v1/jobs/count?created_after={from}&created_before={to}"),
            ("/total", 69),
            (2, 8),
        ),
        ("get-job-stats", "stats", "/v1/jobs/stats".to_owned(), ("/total_jobs", FEW), (1, 1)),
        (
            "get-job-stats",
            "stats within dates",
            format!("/v1/jobs/stats?created_after={from}&created_before={to}"),
            ("/created_jobs", 70),
            (1, 8),
        ),
        ("costs", "costs by model", "/v1/analytics/cost/by-model".to_owned(), ("/items/0/jobs", FEW), (1, 1)),
        (
            "costs",
            "costs by team within dates",
            format!("/v1/analytics/cost/by-team?start={from}&end={to}"),
            ("/items/0/jobs", FEW),
            (1, 1),
        ),
    ] {
        let function = fixture.metered(name).await;
        questions.push(Question { function, what, path, counted, most });
    }
    let mut few = Vec::new();
    for (numbers, times) in [(0..FEW, 1), (FEW..MANY, MANY / FEW)] {
        fixture.ingest(&jobs(numbers)).await;
        for (place, question) in questions.iter().enumerate() {
            let Question { function, what, path, counted, most } = question;
            let request = Request::new("GET", path);
            if times == 1 {
                let (_, bill) = function.call(&fixture, &request).await;
                bill.show(&format!("{what}: the first call, which reads the key"));
            }
            let (reply, bill) = function.call(&fixture, &request).await;
            assert_eq!(
                (reply.status, reply.at(counted.0)),
                (200, &json!(counted.1 * times)),
                "{}",
                reply.text
            );
            bill.show(&format!("{what}, of {}", FEW * times));
            bill.within(most.0, most.1, 0);
            if times == 1 {
                few.push(bill);
            } else {
                assert_eq!(bill, few[place], "{what}");
            }
        }
    }
}
