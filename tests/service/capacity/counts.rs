//! The counter and the scrape.

use jobledger::domain::{Ended, State};
use jobledger::lambda::system_clock;
use jobledger_tests::alone::Request;
use jobledger_tests::capacity::write;
use jobledger_tests::clock;
use jobledger_tests::stream::{BEGIN, Write, event, queued, records};

use super::{Bill, CostFixture, changed, completed};

/// The cost of a batch's transaction: each item's write counts twice, and tallies have no index.
async fn count(fixture: &CostFixture, shard: &str, writes: &[Write]) -> Bill {
    let counter = fixture.metered("tally-jobs").await;
    // The first commit of an environment also notes the owner, for two units more. This is a later commit.
    counter.invoke(fixture, &event(&format!("{shard}-before"), &records(0, &writes[..1]))).await;
    let before = fixture.tallies().await;
    let bill = counter.invoke(fixture, &event(shard, &records(0, writes))).await;
    let after = fixture.tallies().await;
    let costs = changed(&fixture.tallies, &before, &after).into_iter();
    let costs: Vec<_> = costs.map(|(old, new)| write(&fixture.tallies, old, new)).collect();
    let least = costs.iter().map(|cost| cost.in_transaction_at_least()).sum();
    let most = costs.iter().map(|cost| cost.in_transaction_at_most()).sum();
    assert_eq!((bill.write, bill.write), (least, most), "both readings are the same without an index");
    bill
}

/// Jobs of these types, of one owner and one hour. A third of the records creates, a third begins, a third completes.
fn lives(types: &[&str], records: usize) -> Vec<Write> {
    let mut writes = Vec::new();
    for number in 0..records.div_ceil(3) {
        let created_at = BEGIN.plus_millis(i64::try_from(number).unwrap_or(0));
        let first =
            queued(u128::try_from(number).unwrap_or(0) + 1, "ann", types[number % types.len()], created_at);
        let (mut begun, mut done) = (first.clone(), first.clone());
        let started_at = created_at.plus_millis(2_000);
        begun.job.state = State::Running { started_at, phase: None, lease: None };
        let completed_at = started_at.plus_millis(60_000);
        done.job.state =
            State::Completed(Ended { started_at: Some(started_at), completed_at, expires_at: None });
        writes.push(Write { old: None, new: Some(first.clone()) });
        writes.push(Write { old: Some(first), new: Some(begun.clone()) });
        writes.push(Write { old: Some(begun), new: Some(done) });
    }
    writes.truncate(records);
    writes
}

#[tokio::test]
async fn counting_a_thousand_records_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    let bill = count(&fixture, "shard-1", &lives(&["render"], 1_000)).await;
    bill.show("count 1,000 records of one owner, one hour, one type");
    bill.within(2, 1, 40);
    let bill = count(&fixture, "shard-2", &lives(&["render", "scrape"], 1_000)).await;
    bill.show("count 1,000 records of one owner, one hour, two types");
    bill.within(2, 1, 40);
    let bill = count(&fixture, "shard-3", &lives(&["render"], 1)).await;
    bill.show("count one record");
    bill.within(2, 1, 40);
}

#[tokio::test]
async fn planned_jobs_cost_three_more_items_however_many_they_are() {
    let fixture = CostFixture::start().await;
    let created = |jobs: usize, planned: bool| -> Vec<Write> {
        let mut writes = lives(&["render"], 3 * jobs);
        writes.retain(|write| write.old.is_none());
        for head in writes.iter_mut().filter_map(|write| write.new.as_mut()).filter(|_| planned) {
            head.job.state = State::Queued { available_at: BEGIN.plus_hours(40) };
        }
        writes
    };
    let due = count(&fixture, "shard-1", &created(300, false)).await;
    let planned = count(&fixture, "shard-2", &created(300, true)).await;
    planned.show("count 300 planned jobs of one type that are due at the same time");
    assert_eq!(planned.write - due.write, 2 * 2 * 3, "halves of two units for each of three items");
    assert_eq!(planned.read, due.read);
}

/// The numbers of planned jobs are three range reads, at any number of jobs.
#[tokio::test]
async fn counts_by_state_cost_the_same_with_ten_times_the_jobs() {
    let fixture = CostFixture::start().await;
    let metered = fixture.metered("get-job-count").await;
    // The first call of an environment also reads the key and the settings.
    metered.call(&fixture, &Request::new("GET", "/v1/jobs/count")).await;
    let mut bills = Vec::new();
    for numbers in [0..20, 20..200] {
        let job = |number: usize| {
            serde_json::json!({
                "external_id": format!("planned-{number}"), "type": "render", "status": "queued",
                "created_at": "2026-03-01T00:00:00Z", "available_at": "2100-01-01T00:00:00Z",
            })
        };
        fixture.ingest(&numbers.clone().map(job).collect::<Vec<_>>()).await;
        for query in ["by=state", "status=scheduled", "status=due"] {
            let request = Request::new("GET", &format!("/v1/jobs/count?{query}"));
            let (reply, bill) = metered.call(&fixture, &request).await;
            let expect = if query == "status=due" { 0 } else { numbers.end };
            assert_eq!(reply.at("/total"), expect, "{}", reply.text);
            bill.show(&format!("count {query}, of {} jobs", numbers.end));
            bill.within(1, 2, 0);
            bills.push((query, bill));
        }
    }
    let (few, many) = bills.split_at(3);
    assert_eq!(few, many);
}

#[tokio::test]
async fn a_scrape_costs_the_same_with_ten_times_the_jobs() {
    let fixture = CostFixture::start().await;
    let request = Request::new("GET", "/metrics");
    let mut bills = Vec::new();
    for numbers in [0..100, 100..1_000] {
        let jobs: Vec<_> = numbers.clone().map(|number| completed(number, number)).collect();
        fixture.ingest(&jobs).await;
        let scraper = fixture.metered("metrics").await;
        let (reply, bill) = scraper.call(&fixture, &request).await;
        let created = format!("jobledger_jobs_created_total{{type=\"render\"}} {}", numbers.end);
        assert!(reply.text.lines().any(|line| line == created), "{}", reply.text);
        bill.show(&format!(
            "the first scrape of an environment, which sends a probe, of {} jobs",
            numbers.end
        ));
        bill.within(1, 8, 1);
        // The probe has no attribute of an index: it costs one unit.
        assert_eq!(bill.write, 2);
        let (_, bill) = scraper.call(&fixture, &request).await;
        bill.show(&format!("scrape, of {} jobs", numbers.end));
        bill.within(1, 8, 0);
        bills.push(bill);
        fixture.service.settled().await;
    }
    assert_eq!(bills[0], bills[1]);
}

#[tokio::test]
async fn a_checkup_costs_the_same_whatever_it_finds() {
    let fixture = CostFixture::start().await;
    let request = Request::new("GET", "/health/detailed");
    clock::set(system_clock());
    let checker = fixture.metered_by("detailed-health", clock::now).await;
    let (_, bill) = checker.call(&fixture, &request).await;
    bill.show("the first checkup of an environment, which sends a probe");
    bill.within(1, 4, 1);
    // The probe has no attribute of an index: it costs one unit.
    assert_eq!(bill.write, 2);
    let (_, bill) = checker.call(&fixture, &request).await;
    bill.show("a checkup that is remembered");
    bill.within(0, 0, 0);
}
