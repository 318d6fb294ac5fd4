//! Heads in every status, with every combination of the optional fields that a step may touch.

use jobledger::domain::steps::MAX_UNHEARD;
use jobledger::domain::{
    Arrival, Ended, ErrorCode, Fingerprint, Head, Holder, Job, JobError, JobId, Labels, Lease, LeaseToken,
    MicroDollars, Owner, Percent, Phase, Progress, State, TaskName, Terms, Timestamp, Try, TypeName,
    WorkerId,
};
use uuid::Uuid;

/// The last change of the heads.
pub(crate) const CHANGED_MS: i64 = 1_768_107_600_123;
/// The number of optional fields.
const FIELDS: u32 = 5;

pub(crate) fn worker() -> WorkerId {
    WorkerId::try_from("w").expect("a worker")
}

pub(crate) fn percent(hundredths: u16) -> Percent {
    Percent::try_from(hundredths).expect("a share")
}

pub(crate) fn task(name: &str) -> TaskName {
    TaskName::try_from(name).expect("a task")
}

pub(crate) fn error() -> JobError {
    JobError { message: "it broke".to_owned(), failed_task: None, code: None }
}

pub(crate) fn token(attempt: u32, holds_slot: bool, secret: u128) -> LeaseToken {
    let kind = TypeName::try_from("render").expect("a type");
    let terms = Terms { holds_slot, attempt, seconds: 60, deadline: None, kind };
    LeaseToken::new(terms, Uuid::from_u128(secret))
}

/// The states of a job with a lease, and those without.
fn states(holds_lease: bool) -> Vec<State> {
    let at = |millis: i64| Timestamp::from_millis(CHANGED_MS + millis);
    if holds_lease {
        let lease = |until, holds_slot| Some(Lease { until: at(until), holds_slot, unacknowledged: false });
        let silent = |until| Some(Lease { until: at(until), holds_slot: false, unacknowledged: true });
        let running = |lease| State::Running { started_at: at(-9_000), phase: None, lease };
        return vec![
            running(lease(30_000, false)),
            running(lease(30_000, true)),
            running(lease(-1_000, false)),
            running(lease(-1_000, true)),
            running(silent(30_000)),
            running(silent(-1_000)),
        ];
    }
    let ended = |is_started: bool, expires_at| Ended {
        started_at: is_started.then_some(at(-9_000)),
        completed_at: at(-1_000),
        expires_at,
    };
    // An ingested job may have no expiry.
    let expires_at = Some(Timestamp::from_millis(1_768_108_000_000));
    let phase = Phase::try_from("uploading").ok();
    let full =
        JobError { failed_task: Some("encode".to_owned()), code: ErrorCode::try_from("e").ok(), ..error() };
    vec![
        State::Queued { available_at: at(0) },
        State::Queued { available_at: at(60_000) },
        State::Running { started_at: at(-9_000), phase: None, lease: None },
        State::Running { started_at: at(-9_000), phase, lease: None },
        State::Completed(ended(true, expires_at)),
        State::Completed(ended(false, None)),
        State::Failed(ended(true, expires_at), full),
        State::Failed(ended(false, None), error()),
        State::Cancelled(ended(true, expires_at)),
        State::Cancelled(ended(false, None)),
    ]
}

/// A head in this state. Each bit says whether it has a field.
fn head(state: State, bits: u32) -> Head {
    let has = |bit: u32| bits & (1 << bit) != 0;
    let at = |millis: i64| Timestamp::from_millis(CHANGED_MS + millis);
    let lease = match &state {
        State::Running { lease, .. } => *lease,
        State::Queued { .. } | State::Completed(_) | State::Failed(..) | State::Cancelled(_) => None,
    };
    let holds_slot = lease.is_some_and(|lease| lease.holds_slot);
    let holder = Holder { worker: worker(), token: token(2, holds_slot, 1) };
    // A waiting job was handed back, and a job with a lease was claimed. The claim wrote the progress, too.
    let waits = matches!(state, State::Queued { .. });
    let is_said = Progress {
        current_task: Some(task("fetch")),
        current_task_progress: Some(percent(1_000)),
        overall_progress: percent(3_000),
    };
    let progress = if has(1) { Some(is_said) } else { lease.map(|_| Progress::default()) };
    let last_try = Try {
        number: 1,
        worker: Some(worker()),
        started_at: at(-20_000),
        ended_at: at(-10_000),
        error: Some(error()),
    };
    Head {
        job: Job {
            id: JobId::from(Uuid::from_u128(7)),
            owner: Owner::try_from("a").expect("an owner"),
            kind: TypeName::try_from("render").expect("a type"),
            external_id: None,
            name: None,
            priority: 2,
            labels: Labels::default(),
            created_at: at(-60_000),
            updated_at: at(0),
            attempt: 2,
            max_attempts: if has(4) { 2 } else { 3 },
            failures: u32::from(has(2)),
            unheard: if has(3) { MAX_UNHEARD } else { u32::from(has(2)) },
            timeout_seconds: None,
            cost: has(4).then(|| MicroDollars::try_from(5_u64).expect("a cost")),
            trace_id: None,
            progress: progress.filter(|_| !waits),
            holder: Some(holder).filter(|_| lease.is_some() || (has(0) && !waits)),
            last_try: has(2).then_some(last_try),
            arrival: Some(Arrival { at: at(-60_000), line: 3 }).filter(|_| waits && has(0)),
            bytes: if has(3) { 9 } else { 0 },
            state,
        },
        shard: 0,
        fingerprint: Fingerprint::of(b"x"),
        written_by: Uuid::from_u128(11),
        ttl_hours: 24,
        input: None,
        output: has(3).then(|| Uuid::from_u128(12)),
        report: has(4).then(|| Fingerprint::of(b"report")),
        changed_by: has(4).then(|| JobId::from(Uuid::from_u128(13))),
        retried_by: has(4).then(|| Uuid::from_u128(16)),
    }
}

/// All heads.
pub(crate) fn all() -> Vec<Head> {
    let states = [states(false), states(true)].concat();
    let mut heads: Vec<Head> = Vec::new();
    for state in states {
        for bits in 0..1 << FIELDS {
            let head = head(state.clone(), bits);
            if !heads.contains(&head) {
                heads.push(head);
            }
        }
    }
    heads
}
