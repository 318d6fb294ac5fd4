//! Judging lines, by value and by property.

use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::domain::Percent;

const HOUR_MS: i64 = 3_600_000;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_millis(1_768_100_400_000 + hour * HOUR_MS)
}

fn defaults() -> Defaults {
    Defaults {
        owner: Owner::try_from("ann").unwrap(),
        now: at(100),
        fresh: Uuid::from_u128(7),
        shards: 4,
        ttl_hours: 24,
    }
}

/// A line of that status, with all that it needs and nothing else.
fn line(status: Status) -> Upsert {
    Upsert {
        external_id: ExternalId::try_from("1").unwrap(),
        kind: TypeName::try_from("render").unwrap(),
        status,
        phase: None,
        priority: 3,
        name: None,
        labels: Labels::default(),
        created_at: Some(at(1)),
        available_at: None,
        started_at: (status != Status::Queued).then_some(at(2)),
        completed_at: status.is_ended().then_some(at(3)),
        error: (status == Status::Failed).then(|| JobError {
            message: "bad luck".into(),
            failed_task: None,
            code: None,
        }),
        progress: None,
        cost: None,
        max_attempts: 1,
        timeout_seconds: None,
        ttl_hours: None,
        input: Input::default(),
        output: Output::default(),
        fingerprint: Fingerprint::of(status.as_str().as_bytes()),
    }
}

fn stored(upsert: &Upsert) -> Head {
    match judge(upsert, None, &defaults()) {
        Ok(Verdict::Create(head)) => *head,
        other => panic!("not created: {other:?}"),
    }
}

fn updated(upsert: &Upsert, existing: &Head) -> Head {
    match judge(upsert, Some(existing), &defaults()) {
        Ok(Verdict::Update(head)) => *head,
        other => panic!("not updated: {other:?}"),
    }
}

fn contradictions(upsert: &Upsert) -> Vec<(&'static str, Invalid)> {
    let timeline = Timeline {
        status: Some(upsert.status),
        created_at: upsert.created_at,
        available_at: upsert.available_at,
        started_at: upsert.started_at,
        completed_at: upsert.completed_at,
        error: upsert.error.as_ref(),
    };
    timeline.contradictions(at(100))
}

#[track_caller]
fn contradicts(upsert: &Upsert, fields: &[&str]) {
    let found: Vec<_> = contradictions(upsert).into_iter().map(|(field, _)| field).collect();
    assert_eq!(found, fields, "{upsert:?}");
}

#[test]
fn a_line_may_say_what_its_status_needs_and_no_more() {
    for status in Status::ALL {
        contradicts(&line(status), &[]);
        let ended = status.is_ended();
        let without = Upsert { completed_at: None, ..line(status) };
        contradicts(&without, if ended { &["completed_at"] } else { &[] });
        let with = Upsert { completed_at: Some(at(3)), ..line(status) };
        contradicts(&with, if ended { &[] } else { &["completed_at"] });
        let error = Some(JobError { message: "x".into(), failed_task: None, code: None });
        let with = Upsert { error, ..line(status) };
        contradicts(&with, if status == Status::Failed { &[] } else { &["error"] });
        let with = Upsert { available_at: Some(at(4)), ..line(status) };
        contradicts(&with, if status == Status::Queued { &[] } else { &["available_at"] });
    }
    contradicts(&Upsert { error: None, ..line(Status::Failed) }, &["error"]);
    contradicts(&Upsert { started_at: Some(at(2)), ..line(Status::Queued) }, &["started_at"]);
    contradicts(&Upsert { started_at: None, ..line(Status::Running) }, &["started_at"]);
    // Called off before it began, or taken over from a source that keeps no beginnings.
    contradicts(&Upsert { started_at: None, ..line(Status::Cancelled) }, &[]);
    contradicts(&Upsert { started_at: None, ..line(Status::Completed) }, &[]);
}

#[test]
fn times_come_in_order_and_not_from_the_future() {
    contradicts(&Upsert { started_at: Some(at(0)), ..line(Status::Completed) }, &["started_at"]);
    contradicts(&Upsert { completed_at: Some(at(0)), ..line(Status::Completed) }, &["completed_at"]);
    let backwards = Upsert { started_at: None, completed_at: Some(at(0)), ..line(Status::Completed) };
    contradicts(&backwards, &["completed_at"]);
    contradicts(&Upsert { created_at: Some(at(101)), ..line(Status::Queued) }, &["created_at"]);
    // A source's clock may run a little ahead.
    contradicts(&Upsert { created_at: Some(at(100).plus_millis(300_000)), ..line(Status::Queued) }, &[]);
    let late = Upsert { created_at: Some(at(100).plus_millis(300_001)), ..line(Status::Queued) };
    contradicts(&late, &["created_at"]);
    // A job may be due later, but not before it was there.
    let due = |hour| Upsert { available_at: Some(at(hour)), ..line(Status::Queued) };
    contradicts(&due(0), &["available_at"]);
    contradicts(&due(1), &[]);
    contradicts(&due(10_000), &[]);
    // Every reason is told, of one field too.
    let upsert = Upsert { started_at: Some(at(200)), completed_at: Some(at(150)), ..line(Status::Running) };
    contradicts(&upsert, &["completed_at", "started_at", "completed_at", "completed_at"]);
}

#[test]
fn times_are_compared_where_no_status_can_be_read() {
    let timeline = Timeline {
        status: None,
        created_at: Some(at(3)),
        available_at: Some(at(2)),
        started_at: Some(at(1)),
        completed_at: None,
        error: None,
    };
    let found: Vec<_> = timeline.contradictions(at(100)).into_iter().map(|(field, _)| field).collect();
    assert_eq!(found, ["started_at", "available_at"]);
}

#[test]
fn a_known_job_goes_only_where_the_status_table_leads() {
    for from in Status::ALL {
        let existing = stored(&line(from));
        for to in Status::ALL {
            let upsert = next_attempt(to, 4);
            match judge(&upsert, Some(&existing), &defaults()) {
                Ok(Verdict::Update(head)) => {
                    assert!(from.reaches(to), "{from} -> {to}");
                    assert_eq!(head.job.status(), to);
                }
                Err(wrong) => {
                    assert!(!from.reaches(to), "{from} -> {to}: {wrong:?}");
                    assert_eq!(wrong.iter().map(|(field, _)| *field).collect::<Vec<_>>(), ["status"]);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A line of that status about an attempt that began at this hour, and if it ended, an hour later.
fn next_attempt(status: Status, hour: i64) -> Upsert {
    Upsert {
        started_at: (status != Status::Queued).then_some(at(hour)),
        completed_at: status.is_ended().then_some(at(hour + 1)),
        fingerprint: Fingerprint::of(format!("{status} {hour}").as_bytes()),
        ..line(status)
    }
}

#[test]
fn an_attempt_that_ended_is_kept_when_the_job_moves_on() {
    let failed = stored(&line(Status::Failed));
    for status in [Status::Queued, Status::Running, Status::Completed, Status::Failed, Status::Cancelled] {
        let head = updated(&next_attempt(status, 4), &failed);
        let tried = head.job.last_try.clone().unwrap();
        assert_eq!((tried.number, tried.started_at, tried.ended_at), (1, at(2), at(3)), "{status}");
        assert_eq!(tried.error.unwrap().message, "bad luck", "{status}");
        assert_eq!(head.job.attempt, if status == Status::Queued { 1 } else { 2 }, "{status}");
        assert_eq!(head.job.max_attempts, 2, "{status}");
        // From queue to work, the attempt that ended stays, and one more begins.
        if status == Status::Queued {
            let running = updated(&next_attempt(Status::Running, 4), &head);
            assert_eq!((running.job.attempt, running.job.last_try), (2, head.job.last_try));
        }
    }
    // The same failure, told again otherwise, is one failure; the next attempt's is another.
    let told_again = Upsert { priority: 9, ..next_attempt(Status::Failed, 2) };
    assert_eq!(updated(&told_again, &failed).job.failures, 1);
    assert_eq!(updated(&next_attempt(Status::Failed, 4), &failed).job.failures, 2);
    // A line that corrects an attempt without a length tells of no other attempt.
    for status in [Status::Completed, Status::Failed, Status::Cancelled] {
        let short = Upsert { completed_at: Some(at(2)), ..line(status) };
        let corrected = Upsert { priority: 9, fingerprint: Fingerprint::of(b"again"), ..short.clone() };
        let head = updated(&corrected, &stored(&short));
        assert_eq!((head.job.attempt, head.job.last_try), (1, None), "{status}");
    }
    // A correction of the end is the same attempt.
    let corrected =
        updated(&Upsert { completed_at: Some(at(4)), ..next_attempt(Status::Failed, 2) }, &failed);
    assert_eq!((corrected.job.attempt, corrected.job.last_try), (1, None));
}

#[test]
fn a_line_that_arrives_late_changes_nothing() {
    let is_late = |upsert: &Upsert, existing: &Head| {
        assert_eq!(judge(upsert, Some(existing), &defaults()), Ok(Verdict::Unchanged), "{upsert:?}");
    };
    for status in [Status::Failed, Status::Cancelled] {
        let ended = stored(&next_attempt(status, 5));
        is_late(&next_attempt(Status::Running, 5), &ended);
        is_late(&Upsert { available_at: Some(at(4)), ..next_attempt(Status::Queued, 0) }, &ended);
        is_late(&next_attempt(Status::Completed, 2), &ended);
        // The next attempt may begin as the last one ends. The same attempt may have ended otherwise.
        assert_eq!(updated(&next_attempt(Status::Running, 6), &ended).job.status(), Status::Running);
        let other_end = Upsert { completed_at: Some(at(5)), ..next_attempt(Status::Completed, 5) };
        assert_eq!(updated(&other_end, &ended).job.status(), Status::Completed);
    }
    let failed = stored(&line(Status::Failed));
    let queued = updated(&next_attempt(Status::Queued, 0), &failed);
    is_late(&next_attempt(Status::Running, 2), &queued);
    is_late(&next_attempt(Status::Failed, 2), &queued);
    let running = updated(&next_attempt(Status::Running, 6), &failed);
    for status in [Status::Completed, Status::Failed, Status::Cancelled] {
        is_late(&next_attempt(status, 2), &running);
        assert_eq!(updated(&next_attempt(status, 6), &running).job.status(), status);
    }
    is_late(&next_attempt(Status::Running, 2), &running);
    // The last failure again, though the next attempt began as it ended.
    let at_once = updated(&next_attempt(Status::Running, 3), &failed);
    is_late(&Upsert { priority: 9, ..next_attempt(Status::Failed, 2) }, &at_once);
    is_late(&Upsert { available_at: Some(at(5)), ..next_attempt(Status::Queued, 0) }, &running);
}

#[test]
fn a_job_that_is_queued_again_is_due_from_now() {
    let due = |head: &Head| match head.job.state {
        State::Queued { available_at } => available_at,
        ref other => panic!("{other:?}"),
    };
    let again = next_attempt(Status::Queued, 0);
    for status in [Status::Running, Status::Failed, Status::Cancelled] {
        let queued = updated(&again, &stored(&line(status)));
        assert_eq!(due(&queued), at(100), "{status}");
        // A later line that says nothing of it leaves it as it is.
        let now = Defaults { now: at(200), ..defaults() };
        let silent = Upsert { fingerprint: Fingerprint::of(b"silent"), ..again.clone() };
        let Ok(Verdict::Update(head)) = judge(&silent, Some(&queued), &now) else { panic!("{status}") };
        assert_eq!(due(&head), at(100), "{status}");
    }
    let planned = Upsert { available_at: Some(at(150)), ..again.clone() };
    assert_eq!(due(&updated(&planned, &stored(&line(Status::Failed)))), at(150));
    assert_eq!(due(&stored(&line(Status::Queued))), at(1), "a new job waits since it was created");
}

#[test]
fn the_same_line_again_changes_nothing() {
    for status in Status::ALL {
        let existing = stored(&line(status));
        assert_eq!(judge(&line(status), Some(&existing), &defaults()), Ok(Verdict::Unchanged));
    }
}

#[test]
fn an_ended_job_is_kept_until_it_is_deleted_unless_its_line_says_how_long() {
    let expires_at = |upsert: &Upsert| stored(upsert).job.state.ended().unwrap().expires_at;
    assert_eq!(expires_at(&line(Status::Completed)), None);
    // Its time is counted from now: history is not gone before it is there.
    let limited = Upsert { ttl_hours: Some(2), ..line(Status::Completed) };
    assert_eq!(expires_at(&limited), Some(at(102)));
    assert_eq!((stored(&limited).ttl_hours, stored(&line(Status::Queued)).ttl_hours), (2, 24));
}

#[test]
fn what_is_stored_decides_what_a_line_leaves_out() {
    let existing = Head { shard: 3, ..stored(&line(Status::Running)) };
    let later = Upsert { created_at: None, ..line(Status::Completed) };
    let head = updated(&later, &existing);
    assert_eq!((head.job.created_at, head.shard, head.job.attempt), (at(1), 3, 1));
    // A time before the stored beginning contradicts it.
    let early = Upsert { created_at: None, started_at: Some(at(0)), ..line(Status::Completed) };
    let reasons = |upsert: &Upsert, existing: &Head| -> Vec<&'static str> {
        let wrong = judge(upsert, Some(existing), &defaults()).unwrap_err();
        wrong.into_iter().map(|(field, _)| field).collect()
    };
    assert_eq!(reasons(&early, &existing), ["created_at"]);
    let fingerprint = Fingerprint::of(b"another");
    let again = Upsert { status: Status::Running, fingerprint, ..early.clone() };
    assert_eq!(reasons(&again, &stored(&line(Status::Completed))), ["status", "created_at"]);
    // Without any, the first time that is known is the beginning.
    assert_eq!(stored(&early).job.created_at, at(0));
    assert_eq!(stored(&Upsert { created_at: None, ..line(Status::Queued) }).job.created_at, at(100));
}

#[test]
fn nobody_is_due_before_they_are_there() {
    let due = |at: Timestamp| Upsert {
        created_at: None,
        available_at: Some(at),
        fingerprint: Fingerprint::of(b"due"),
        ..line(Status::Queued)
    };
    let times = |head: &Head| match &head.job.state {
        State::Queued { available_at } => (head.job.created_at, *available_at),
        other => panic!("{other:?}"),
    };
    assert_eq!(times(&stored(&due(at(1)))), (at(1), at(1)));
    assert_eq!(times(&stored(&due(at(200)))), (at(100), at(200)));
    // If the line says nothing, the stored value counts.
    let existing = stored(&line(Status::Queued));
    assert_eq!(times(&updated(&due(at(1)), &existing)), (at(1), at(1)));
    let wrong = judge(&due(at(0)), Some(&existing), &defaults()).unwrap_err();
    assert_eq!(wrong.iter().map(|(field, _)| *field).collect::<Vec<_>>(), ["available_at"]);
}

#[test]
fn progress_is_kept_where_the_status_does_not_settle_it() {
    let said = Progress { overall_progress: Percent::try_from("33.33").unwrap(), ..Progress::default() };
    for (status, kept, shown) in [
        (Status::Queued, None, Progress::default()),
        (Status::Running, Some(&said), said.clone()),
        (Status::Completed, None, Progress::DONE),
        (Status::Failed, Some(&said), said.clone()),
        (Status::Cancelled, Some(&said), said.clone()),
    ] {
        let job = stored(&Upsert { progress: Some(said.clone()), ..line(status) }).job;
        assert_eq!((job.progress.as_ref(), job.shown_progress()), (kept, shown), "{status}");
        let silent = stored(&line(status)).job;
        let nothing = if status == Status::Completed { Progress::DONE } else { Progress::default() };
        assert_eq!((silent.progress.as_ref(), silent.shown_progress()), (None, nothing), "{status}");
    }
    // Each line is all of the job: one that says nothing of it takes it away.
    let existing = stored(&Upsert { progress: Some(said), ..line(Status::Running) });
    let silent = Upsert { fingerprint: Fingerprint::of(b"another"), ..line(Status::Running) };
    assert_eq!(updated(&silent, &existing).job.progress, None);
}

#[test]
fn parts_are_named_where_there_are_any() {
    let head = stored(&line(Status::Completed));
    assert_eq!((head.input, head.output), (None, None));
    let payload = serde_json::value::RawValue::from_string("1".to_owned()).unwrap();
    let input = Input { payload: Some(payload), metadata: None };
    let head = stored(&Upsert { input, ..line(Status::Completed) });
    assert_eq!((head.input, head.output), (Some(Uuid::from_u128(7)), None));
}

fn any_line() -> impl Strategy<Value = Upsert> {
    let hours = (of(0_i64..90), of(0_i64..90), of(0_i64..90), of(0_i64..90));
    (0_usize..5, hours, of(1_u16..=168), any::<u64>()).prop_map(
        |(status, (created, available, started, completed), ttl_hours, said)| Upsert {
            created_at: created.map(at),
            available_at: available.map(at),
            started_at: started.map(at),
            completed_at: completed.map(at),
            ttl_hours,
            fingerprint: Fingerprint::of(&said.to_be_bytes()),
            ..line(Status::ALL[status])
        },
    )
}

proptest! {
    /// For all lines in any order: no time of a job lies before its creation, its tries never become fewer, it keeps
    /// its id and its place, and nothing that a line says is lost.
    #[test]
    fn heads_stay_sound(lines in proptest::collection::vec(any_line(), 1..12)) {
        let mut existing: Option<Head> = None;
        for line in lines.iter().filter(|line| contradictions(line).is_empty()) {
            let verdict = judge(line, existing.as_ref(), &defaults());
            prop_assert_eq!(&verdict, &judge(line, existing.as_ref(), &defaults()), "judged by value");
            let head = match (verdict, &existing) {
                (Ok(Verdict::Create(head)), None) => *head,
                (Ok(Verdict::Update(head)), Some(before)) => {
                    prop_assert!(head.job.attempt >= before.job.attempt);
                    prop_assert_eq!((head.job.id, head.shard), (before.job.id, before.shard));
                    *head
                }
                (Ok(Verdict::Unchanged) | Err(_), Some(_)) => continue,
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            let job = &head.job;
            prop_assert_eq!(job.status(), line.status);
            prop_assert_eq!(head.fingerprint, line.fingerprint);
            let ended = job.state.ended();
            let times = [job.state.started_at(), ended.map(|ended| ended.completed_at)];
            prop_assert!(times.into_iter().flatten().all(|time| time >= job.created_at), "{:?}", job);
            let due = if let State::Queued { available_at } = job.state { Some(available_at) } else { None };
            prop_assert!(due.is_none_or(|due| due >= job.created_at), "{:?}", job);
            prop_assert!(line.created_at.is_none_or(|time| time == job.created_at));
            prop_assert!(ended.and_then(|ended| ended.expires_at).is_none_or(|time| time > at(100)));
            existing = Some(head);
        }
    }
}
