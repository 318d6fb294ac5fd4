//! Heads as items, by value and by property.

use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::domain::{ErrorCode, JobError, Percent, TaskName, Terms};

/// The attributes of a head that an index lacks: see `template.yaml`. Only the head needs them.
const NOT_PROJECTED: [&str; 24] = [
    "fingerprint",
    "ttl_seconds",
    "input",
    "output",
    "queue",
    "arrival",
    "progress",
    "bytes",
    "worker",
    "lease_token",
    "lease_until",
    "slot",
    "unacknowledged",
    "unheard",
    "failures",
    "last_try",
    "last_worker",
    "last_started",
    "last_ended",
    "last_error",
    "report",
    "changed_by",
    "retried_by",
    "written_by",
];
/// A head is none without these.
const NEEDED: [&str; 11] = [
    "job_id",
    "part",
    "owner",
    "type",
    "status",
    "shard",
    "created",
    "priority",
    "updated_at",
    "attempt",
    "max_attempts",
];

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (0_i64..4_000_000_000_000).prop_map(Timestamp::from_millis),
        1 => Just(Timestamp::MIN),
        1 => Just(Timestamp::MAX),
    ]
}

/// Ends of lives are kept in seconds.
fn ended() -> impl Strategy<Value = Ended> {
    let seconds = (0_i64..4_000_000_000).prop_map(|seconds| Timestamp::from_millis(seconds * 1_000));
    (of(time()), time(), of(seconds)).prop_map(|(started_at, completed_at, expires_at)| Ended {
        started_at,
        completed_at,
        expires_at,
    })
}

fn error() -> impl Strategy<Value = JobError> {
    (".{1,80}", of(".{1,80}"), of("[a-z0-9][a-z0-9_.:-]{0,20}")).prop_map(|(message, failed_task, code)| {
        JobError { message, failed_task, code: code.map(|code| ErrorCode::try_from(code).unwrap()) }
    })
}

fn worker() -> impl Strategy<Value = WorkerId> {
    "[a-z0-9][a-z0-9_.:-]{0,63}".prop_map(|name| WorkerId::try_from(name).unwrap())
}

fn holder() -> impl Strategy<Value = Holder> {
    let terms = (any::<bool>(), any::<u32>(), 10_u32..=900, of(1_i64..4_000_000_000_000), "[a-z.]{1,30}");
    (worker(), terms, any::<u128>()).prop_map(
        |(worker, (holds_slot, attempt, seconds, deadline, kind), secret)| {
            let kind = TypeName::try_from(format!("a{kind}")).unwrap();
            let deadline = deadline.map(Timestamp::from_millis);
            let terms = Terms { holds_slot, attempt, seconds, deadline, kind };
            Holder { worker, token: LeaseToken::new(terms, Uuid::from_u128(secret)) }
        },
    )
}

fn last_try() -> impl Strategy<Value = Try> {
    (any::<u32>(), of(worker()), time(), time(), of(error())).prop_map(
        |(number, worker, started_at, ended_at, error)| Try { number, worker, started_at, ended_at, error },
    )
}

fn state() -> impl Strategy<Value = State> {
    let phase = of("[a-z0-9][a-z0-9_.:-]{0,20}");
    prop_oneof![
        time().prop_map(|available_at| State::Queued { available_at }),
        (time(), phase).prop_map(|(started_at, phase)| State::Running {
            started_at,
            phase: phase.map(|phase| Phase::try_from(phase).unwrap()),
            lease: None,
        }),
        (time(), time(), any::<bool>()).prop_map(|(started_at, until, holds_slot)| State::Running {
            started_at,
            phase: None,
            lease: Some(Lease { until, holds_slot, unacknowledged: !holds_slot }),
        }),
        ended().prop_map(State::Completed),
        ended().prop_map(State::Cancelled),
        (ended(), error()).prop_map(|(ended, error)| State::Failed(ended, error)),
    ]
}

fn progress() -> impl Strategy<Value = Progress> {
    let percent = || (0_u16..=10_000).prop_map(|hundredths| Percent::try_from(hundredths).unwrap());
    (of("[ä-ü!-~]{1,200}"), of(percent()), percent()).prop_map(|(task, current, overall_progress)| Progress {
        current_task: task.map(|task| TaskName::try_from(task).unwrap()),
        current_task_progress: current,
        overall_progress,
    })
}

fn arrival() -> impl Strategy<Value = Option<Arrival>> {
    of((0_i64..4_000_000_000_000, any::<u32>()))
        .prop_map(|arrival| arrival.map(|(at, line)| Arrival { at: Timestamp::from_millis(at), line }))
}

fn job() -> impl Strategy<Value = Job> {
    let who = (any::<u128>(), "[a-zA-Z0-9][a-zA-Z0-9_.:-]{0,63}", "[a-z0-9][a-z0-9_.:-]{0,63}");
    let named = (of("[ä-ü!-~]{1,64}"), of("[ä-ü!-~]([ -~]{0,40}[!-~])?"), of("[1-9a-f]{32}"));
    let labels = proptest::collection::btree_map("[a-z][a-z0-9_]{0,8}", "[!-~]{1,20}", 0..6);
    let numbers = (0_u8..=10, any::<u32>(), any::<u32>(), of(any::<u32>()), of(0_u64..100_000_000_000_000));
    let failures = || prop_oneof![Just(0), any::<u32>()];
    let tries = (failures(), failures());
    let kept =
        (of(progress()), of(holder()), of(last_try()), prop_oneof![Just(0), any::<u64>()], tries, arrival());
    (who, named, labels, numbers, time(), time(), state(), kept).prop_map(
        |(
            (id, owner, kind),
            (external_id, name, trace_id),
            labels,
            numbers,
            created_at,
            updated_at,
            state,
            (progress, holder, last_try, bytes, (failures, unheard), arrival),
        )| Job {
            id: JobId::from(Uuid::from_u128(id)),
            owner: Owner::try_from(owner).unwrap(),
            kind: TypeName::try_from(kind).unwrap(),
            external_id: external_id.map(|id| ExternalId::try_from(id).unwrap()),
            name: name.map(|name| JobName::try_from(name).unwrap()),
            priority: numbers.0,
            labels: Labels::try_from(labels).unwrap(),
            created_at,
            updated_at,
            attempt: numbers.1,
            max_attempts: numbers.2,
            failures,
            unheard,
            timeout_seconds: numbers.3,
            cost: numbers.4.map(|micros| MicroDollars::try_from(micros).unwrap()),
            trace_id: trace_id.map(|id| TraceId::try_from(id).unwrap()),
            progress,
            holder,
            last_try,
            arrival,
            bytes,
            state,
        },
    )
}

fn head() -> impl Strategy<Value = Head> {
    let name = || of(any::<u128>().prop_map(Uuid::from_u128));
    let marks = (of(any::<[u8; 16]>()), of(any::<u128>()), name());
    (job(), 0_u16..64, any::<[u8; 16]>(), 1_u16..=168, name(), name(), marks).prop_map(
        |(job, shard, fingerprint, ttl_hours, input, output, (report, changed_by, retried_by))| Head {
            job,
            shard,
            fingerprint: Fingerprint::from(fingerprint),
            written_by: uuid::Uuid::from_u128(u128::from_be_bytes(fingerprint)),
            ttl_hours,
            input,
            output,
            report: report.map(Fingerprint::from),
            changed_by: changed_by.map(|id| JobId::from(Uuid::from_u128(id))),
            retried_by,
        },
    )
}

/// An attribute of another type, or with another text in it.
fn foreign() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        ".{0,20}".prop_map(AttributeValue::S),
        any::<i64>().prop_map(|number| AttributeValue::N(number.to_string())),
        Just(AttributeValue::N("1e130".to_owned())),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        Just(AttributeValue::L(Vec::new())),
        Just(AttributeValue::M(HashMap::new())),
    ]
}

proptest! {
    #[test]
    fn a_head_comes_back_as_it_went(head in head()) {
        prop_assert_eq!(head_of_row(head_row(&head).unwrap()), Ok(head.clone()));
        prop_assert_eq!(job_of_row(head_row(&head).unwrap()), Ok(head.job.clone()));
        prop_assert_eq!(id_of_row(&head_row(&head).unwrap()), Ok(head.job.id));
    }

    #[test]
    fn a_row_of_an_index_has_the_job_and_is_no_head(head in head()) {
        let mut row = head_row(&head).unwrap();
        for name in NOT_PROJECTED {
            row.remove(name);
        }
        let job = head.job.clone();
        let mut seen =
            Job { progress: None, bytes: 0, failures: 0, unheard: 0, holder: None, last_try: None, arrival: None, ..job };
        if let State::Running { lease, .. } = &mut seen.state {
            *lease = None;
        }
        prop_assert_eq!(job_of_row(row.clone()), Ok(seen));
        prop_assert!(head_of_row(row).is_err());
    }

    #[test]
    fn only_a_queued_job_is_in_the_queue(head in head()) {
        let row = head_row(&head).unwrap();
        prop_assert_eq!(row.contains_key("queue"), head.job.status() == Status::Queued);
        prop_assert_eq!(row.contains_key("expires_at"), head.job.state.ended().is_some_and(|e| e.expires_at.is_some()));
    }

    /// The queue's order, by its texts: priority first, then the time, then the arrival, then the id.
    #[test]
    fn the_queue_sorts_as_its_jobs_do(
        a in (0_u8..=10, 0_i64..9, arrival(), any::<u128>()), b in (0_u8..=10, 0_i64..9, arrival(), any::<u128>()),
    ) {
        prop_assume!(a.2.is_some() == b.2.is_some());
        let key = |(priority, due, arrival, id)| {
            queue_key(priority, Timestamp::from_millis(due), arrival, JobId::from(Uuid::from_u128(id)))
        };
        let order = |(priority, due, arrival, id)| (std::cmp::Reverse(priority), due, arrival, id);
        prop_assert_eq!(key(a).cmp(&key(b)), order(a).cmp(&order(b)));
    }

    /// A job that came alone has the time in its id.
    #[test]
    fn jobs_of_calls_with_many_and_with_one_go_by_their_times(one in 1_000_i64..4_000_000_000_000, many in 1_000_i64..4_000_000_000_000) {
        prop_assume!(one != many);
        let id = uuid::Builder::from_unix_timestamp_millis(one.unsigned_abs(), &[9; 10]).into_uuid();
        let alone = queue_key(0, Timestamp::from_millis(0), None, JobId::from(id));
        let arrival = Arrival { at: Timestamp::from_millis(many), line: 1 };
        let line = queue_key(0, Timestamp::from_millis(0), Some(arrival), JobId::from(Uuid::nil()));
        prop_assert_eq!(alone.cmp(&line), one.cmp(&many));
    }

    #[test]
    fn what_lacks_something_is_corrupt_and_says_which_it_is(head in head(), place in 0..NEEDED.len()) {
        let mut row = head_row(&head).unwrap();
        row.remove(NEEDED[place]);
        let corrupt = head_of_row(row).unwrap_err();
        let named = if NEEDED[place] == "job_id" { "without job_id".to_owned() } else { head.job.id.to_string() };
        prop_assert_eq!(corrupt.item, named);
    }

    /// Reading an attribute of any value ends, with a result or an error.
    #[test]
    fn no_attribute_makes_reading_panic(head in head(), place: prop::sample::Index, value in foreign()) {
        let mut row = head_row(&head).unwrap();
        let mut names: Vec<String> = row.keys().cloned().collect();
        names.sort();
        row.insert(place.get(&names).clone(), value);
        drop((head_of_row(row.clone()), job_of_row(row.clone()), id_of_row(&row)));
    }
}
