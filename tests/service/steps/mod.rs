//! Each step means the same as a pure function and as an update expression. For heads in every status, with every
//! combination of optional fields, the embedded engine accepts, changes and refuses exactly what the domain does.

mod direct;
mod heads;

use std::collections::BTreeMap;

use jobledger::domain::step::{Change, When};
use jobledger::domain::steps::{
    adopted, cancelled, claimed, completed, edited, expired, failed, given_up, handed_back, moved_up,
    removed, renewed, retried, shown, started,
};
use jobledger::domain::{
    Failure, Fingerprint, Head, JobId, Mark, MicroDollars, Owner, Progress, ReportedProgress, Seen, Status,
    Step, Timestamp,
};
use jobledger::store::head_write::HeadUpdate;
use jobledger::store::{AttributeMap, Ledger, Written, head_of_row, head_row};
use uuid::Uuid;

use heads::{CHANGED_MS, error, percent, task, token, worker};

/// Heads stored by one request: the most that DynamoDB allows.
const CASES_AT_ONCE: usize = 25;

/// A time after the last change of each head.
fn now() -> Timestamp {
    Timestamp::from_millis(CHANGED_MS + 1_000)
}

fn said(task_name: Option<&str>, share: Option<u16>, overall: Option<u16>) -> ReportedProgress {
    ReportedProgress {
        current_task: task_name.map(task),
        current_task_progress: share.map(percent),
        overall_progress: overall.map(percent),
    }
}

/// Every step of the table, at this time, for a job that was read.
fn steps(head: &Head, now: Timestamp) -> Vec<(&'static str, Step)> {
    let job = &head.job;
    let seen = Seen::from(job);
    let failure = |is_retryable| Failure { error: error(), is_retryable };
    let mut steps = vec![
        ("claimed", claimed(&worker(), &token(job.attempt + 1, false, 2), false, now)),
        ("claimed with a slot", claimed(&worker(), &token(job.attempt + 1, true, 2), false, now)),
        ("claimed for another attempt", claimed(&worker(), &token(job.attempt, false, 2), false, now)),
        ("claimed with a promise", claimed(&worker(), &token(job.attempt + 1, false, 2), true, now)),
        ("started", started(job, now)),
        ("completed", completed(now)),
        ("cancelled", cancelled(now)),
        ("given up", given_up(error(), now)),
        ("failed for now", failed(job, failure(true), 2_000, now)),
        ("failed for good", failed(job, failure(false), 2_000, now)),
        ("handed back", handed_back(job, now)),
        ("retried", retried(seen, now)),
        ("retried by an old view", retried(Seen { was_tried: !seen.was_tried, ..seen }, now)),
        ("retried by an older priority", retried(Seen { priority: 3, ..seen }, now)),
        ("retried by an older maximum", retried(Seen { max_attempts: 9, ..seen }, now)),
        ("edited", edited(now)),
        ("shown", shown(Progress { overall_progress: percent(5), ..Progress::default() })),
        ("adopted", adopted()),
        ("moved up", moved_up(job.attempt)),
        ("moved up in another attempt", moved_up(job.attempt + 1)),
    ];
    steps.extend(expired(job, 2_000, now).map(|step| ("expired", step)));
    let own_token = token(2, job.holds_slot(), 1);
    for (name, said) in [
        ("renewed", said(None, None, None)),
        ("renewed with a task", said(Some("render"), None, None)),
        ("renewed with a share", said(Some("render"), Some(2_000), None)),
        ("renewed with less", said(None, None, Some(2_999))),
        ("renewed with as much", said(Some("render"), None, Some(3_000))),
        ("renewed with more", said(None, None, Some(9_000))),
    ] {
        steps.push((name, renewed(&own_token, 30, &said, now)));
    }
    steps.push(("renewed by another", renewed(&token(2, false, 9), 30, &ReportedProgress::default(), now)));
    let cost = MicroDollars::try_from(8_u64).expect("a cost");
    let report = completed(now)
        .only(When::HeldBy(own_token, now))
        .only(When::HasNoOutput)
        .with(Change::Report(Fingerprint::of(b"end")))
        .with(Change::Output { name: Uuid::from_u128(14), bytes: 6 })
        .with(Change::Cost(cost));
    steps.push(("completed by its worker", report));
    let output = Change::Output { name: Uuid::from_u128(14), bytes: 6 };
    steps.push(("completed by its task", completed(now).only(When::WrittenBy(head.written_by)).with(output)));
    steps.push(("completed by another task", completed(now).only(When::WrittenBy(Uuid::nil()))));
    steps
}

/// The same steps, with the clauses that their callers add.
fn guarded(head: &Head, step: &Step) -> Vec<(&'static str, Step)> {
    let other = Owner::try_from("b").expect("an owner");
    let mark = |bulk: u128, created_at| Some(Mark { bulk: JobId::from(Uuid::from_u128(bulk)), created_at });
    let created_at = head.job.created_at;
    vec![
        ("of its owner", step.clone().of(&head.job.owner)),
        ("of another owner", step.clone().of(&other)),
        ("with a slot", step.clone().only(When::HoldsSlot(true))),
        ("without a slot", step.clone().only(When::HoldsSlot(false))),
        ("by a bulk job", step.clone().by(mark(15, created_at.plus_millis(1)))),
        ("by an older bulk job", step.clone().by(mark(15, created_at))),
        ("by the same bulk job", step.clone().by(mark(13, created_at.plus_millis(1)))),
    ]
}

/// A head, and a step for it.
struct Case {
    name: &'static str,
    head: Head,
    step: Step,
}

/// Sends each step to the engine, and compares the result with the domain's. Returns the cases whose steps were done.
async fn check(ledger: &Ledger, mut cases: Vec<Case>) -> Vec<Case> {
    let mut made = Vec::new();
    for chunk in cases.chunks_mut(CASES_AT_ONCE) {
        for (case, id) in chunk.iter_mut().zip(1..) {
            case.head.job.id = JobId::from(Uuid::from_u128(id));
        }
        direct::store(ledger, chunk.iter().map(|case| &case.head)).await;
        for case in chunk {
            if is_made(ledger, case).await {
                made.push(Case { name: case.name, head: case.head.clone(), step: case.step.clone() });
            }
        }
    }
    made
}

async fn is_made(ledger: &Ledger, Case { name, head, step }: &Case) -> bool {
    let update = HeadUpdate::of(head.job.id, step).expect("an update");
    let written = ledger.store.update(update.request(&ledger.config.tables)).await;
    let written = written.unwrap_or_else(|error| panic!("{name}: {error:?}\n{step:?}\n{head:?}"));
    let is_made = match written {
        Written::Done(item) => {
            let item = item.expect("the head");
            let expected = step.apply(head);
            assert_eq!(head_of_row(item.clone()).expect("a head"), expected, "{name}: {step:?}\n{head:?}");
            // No attribute of the old state is left. Null means absent.
            let stored: AttributeMap = item.into_iter().filter(|(_, value)| !value.is_null()).collect();
            assert_eq!(stored, head_row(&expected).expect("a row"), "{name}: {step:?}\n{head:?}");
            true
        }
        Written::Refused(item) => {
            let before = head_row(head).expect("a row");
            assert_eq!(item, Some(before), "{name}: a refused step changes nothing");
            false
        }
    };
    assert_eq!(is_made, step.is_allowed(head), "{name}: {step:?}\n{head:?}");
    is_made
}

#[tokio::test]
async fn each_step_is_made_as_the_domain_says() {
    use Status::{Cancelled, Completed, Failed, Queued, Running};

    let ledger = direct::start().await;
    let few = one_of_each();
    let mut made: BTreeMap<&str, Vec<Status>> = BTreeMap::new();
    let mut cases = Vec::new();
    for head in heads::all() {
        for (name, step) in steps(&head, now()) {
            made.entry(name).or_default();
            // A refusal does not depend on the optional fields without a condition.
            if step.is_allowed(&head) || few.contains(&head) {
                cases.push(Case { name, head: head.clone(), step });
            }
        }
    }
    for Case { name, head, .. } in check(&ledger, cases).await {
        let statuses = made.entry(name).or_default();
        if !statuses.contains(&head.job.status()) {
            statuses.push(head.job.status());
        }
    }
    let expected: [(&str, &[Status]); 31] = [
        ("adopted", &[Running]),
        ("cancelled", &[Queued, Running]),
        ("claimed", &[Queued]),
        ("claimed for another attempt", &[]),
        ("claimed with a promise", &[Queued]),
        ("claimed with a slot", &[Queued]),
        ("completed", &[Running]),
        ("completed by another task", &[]),
        ("completed by its task", &[Running]),
        ("completed by its worker", &[Running]),
        ("edited", &[Queued, Running, Completed, Failed, Cancelled]),
        ("expired", &[Running]),
        ("failed for good", &[Running]),
        ("failed for now", &[Running]),
        ("given up", &[Running]),
        ("handed back", &[Running]),
        ("moved up", &[Queued]),
        ("moved up in another attempt", &[]),
        ("renewed", &[Running]),
        ("renewed by another", &[]),
        ("renewed with a share", &[Running]),
        ("renewed with a task", &[Running]),
        ("renewed with as much", &[Running]),
        ("renewed with less", &[Running]),
        ("renewed with more", &[Running]),
        ("retried", &[Failed, Cancelled]),
        ("retried by an old view", &[]),
        ("retried by an older maximum", &[]),
        ("retried by an older priority", &[]),
        ("shown", &[Running]),
        ("started", &[Queued]),
    ];
    let expected = expected.map(|(name, statuses)| (name, statuses.to_vec()));
    assert_eq!(made, BTreeMap::from(expected), "the statuses that each step leads from");
}

/// One head in each state. The clauses do not depend on its optional fields.
fn one_of_each() -> Vec<Head> {
    let mut heads: Vec<Head> = Vec::new();
    for head in heads::all().into_iter().rev() {
        if heads.iter().all(|other| other.job.state != head.job.state) {
            heads.push(head);
        }
    }
    heads
}

#[tokio::test]
async fn each_clause_holds_where_the_domain_says() {
    let ledger = direct::start().await;
    let mut cases = Vec::new();
    for head in one_of_each() {
        for (_, step) in steps(&head, now()) {
            // An added clause can only refuse more.
            if !step.is_allowed(&head) {
                continue;
            }
            let guarded = guarded(&head, &step).into_iter();
            cases.extend(guarded.map(|(name, step)| Case { name, head: head.clone(), step }));
        }
    }
    let mut made: BTreeMap<_, u32> = cases.iter().map(|case| (case.name, 0)).collect();
    for Case { name, .. } in check(&ledger, cases).await {
        *made.entry(name).or_default() += 1;
    }
    let never: Vec<_> = made.iter().filter(|(_, made)| **made == 0).map(|(name, _)| *name).collect();
    assert_eq!(never, ["by an older bulk job", "by the same bulk job", "of another owner"]);
}

#[tokio::test]
async fn a_step_is_refused_unless_its_time_is_later_and_made_a_millisecond_later() {
    let ledger = direct::start().await;
    let mut early = Vec::new();
    for head in one_of_each() {
        for early_ms in [0, 1, 5_000] {
            let steps = steps(&head, head.job.updated_at.plus_millis(-early_ms)).into_iter();
            let steps = steps.filter(|(_, step)| step.at.is_some());
            early.extend(steps.map(|(name, step)| Case { name, head: head.clone(), step }));
        }
    }
    let later = early.iter().map(|Case { name, head, step }| {
        let step = step.clone().after(head);
        Case { name, head: head.clone(), step }
    });
    let later = later.collect();
    assert!(check(&ledger, early).await.is_empty());
    assert!(!check(&ledger, later).await.is_empty());
}

#[tokio::test]
async fn a_head_is_removed_where_the_domain_says() {
    let ledger = direct::start().await;
    for head in one_of_each() {
        for from in Status::ALL {
            for (name, step) in guarded(&head, &removed([from])) {
                direct::store(&ledger, [&head]).await;
                let update = HeadUpdate::of(head.job.id, &step).expect("an update");
                let written =
                    ledger.store.delete(update.removal(&ledger.config.tables)).await.expect("an answer");
                let before = head_row(&head).expect("a row");
                let expected =
                    if step.is_allowed(&head) { Written::Done(None) } else { Written::Refused(Some(before)) };
                assert_eq!(written, expected, "{name}, {from}: {head:?}");
            }
        }
    }
}
