use std::collections::BTreeSet;

use super::*;
use crate::domain::{Ended, JobError, Labels, Percent, Progress, State, TypeName};
use crate::store::{head_of_row, job_of_row};

fn tables() -> Tables {
    Tables { jobs: "j".into(), ..Tables::default() }
}

fn owner() -> Owner {
    Owner::try_from("a").unwrap()
}

fn id() -> JobId {
    JobId::try_from("01981b5e-7c3a-7000-8000-000000000001").unwrap()
}

fn condition(plan: &UpdateItemInputBuilder) -> String {
    plan.get_condition_expression().clone().unwrap()
}

fn value(plan: &UpdateItemInputBuilder, name: &str) -> AttributeValue {
    plan.get_expression_attribute_values().as_ref().unwrap()[name].clone()
}

#[test]
fn a_batch_of_heads_says_how_it_is_read() {
    let ids = [1, 2].map(|id| JobId::from(uuid::Uuid::from_u128(id)));
    let check = |plan: Result<BatchGetItemInputBuilder, Corrupt>, consistent, projection: Option<&str>| {
        let keys = plan.unwrap().get_request_items().clone().unwrap().remove("j").unwrap();
        assert_eq!(keys.keys(), ids.map(|id| job_key(id, HEAD)));
        assert_eq!((keys.consistent_read(), keys.projection_expression()), (consistent, projection));
    };
    check(get_heads(&tables(), &ids), None, None);
    check(get_heads_now(&tables(), &ids), Some(true), None);
    check(get_progress(&tables(), &ids), None, Some("job_id, progress"));
}

#[test]
fn a_cancellation_is_guarded_by_owner_and_status_table() {
    let plan = cancel(&tables(), &owner(), id(), Timestamp::from_millis(1_500));
    assert_eq!(condition(&plan), "#owner = :owner AND #status IN (:queued, :running)");
    assert_eq!(value(&plan, ":now_seconds"), n(2));
    assert_eq!(plan.get_return_values_on_condition_check_failure(), &Some(OLD_ITEM));
}

#[test]
fn a_retry_is_guarded_by_what_its_place_in_the_queue_is_made_of() {
    let seen = Seen { id: id(), priority: 7, attempt: 3, max_attempts: 3, was_tried: false };
    let plan = retry(&tables(), &owner(), seen, Timestamp::from_millis(1_500));
    assert_eq!(
        condition(&plan),
        "#owner = :owner AND #status IN (:failed, :cancelled) \
         AND priority = :priority AND attempt = :attempt AND max_attempts = :seen_max \
         AND attribute_not_exists(started_at)"
    );
    assert_eq!((value(&plan, ":priority"), value(&plan, ":attempt")), (n(7), n(3)));
    assert_eq!(value(&plan, ":queue"), s(format!("03#1970-01-01T00:00:01.500Z#{}", id())));
    assert_eq!(value(&plan, ":max_attempts"), n(4), "one more try");
    let plan = retry(&tables(), &owner(), Seen { attempt: 1, ..seen }, Timestamp::from_millis(0));
    assert_eq!(value(&plan, ":max_attempts"), n(3), "tries are left");
}

#[test]
fn a_bulk_job_changes_older_jobs_and_each_once() {
    let bulk = JobId::from(uuid::Uuid::from_u128(9));
    let now = Timestamp::from_millis(0);
    let plan = by_bulk(cancel_in(&tables(), &owner(), id(), now, &[Status::Queued]), bulk, now);
    assert_eq!(
        condition(&plan),
        "#owner = :owner AND #status IN (:queued) AND #created < :before \
         AND (attribute_not_exists(#changed_by) OR #changed_by <> :changed_by)"
    );
    assert!(
        plan.get_update_expression()
            .as_ref()
            .unwrap()
            .starts_with("SET #changed_by = :changed_by, #status =")
    );
    assert_eq!((value(&plan, ":before"), value(&plan, ":changed_by")), (s(now), s(bulk)));
    let plan = older_than(delete_in(&tables(), &owner(), id(), &[Status::Failed]), now);
    assert_eq!(
        plan.get_condition_expression().as_deref(),
        Some("#owner = :owner AND #status IN (:failed) AND #created < :before")
    );
}

/// Does what the update expression says to an item: `SET name = :value`, `SET name = other`, and `REMOVE name`.
fn updated(mut item: AttributeMap, plan: &UpdateItemInputBuilder) -> AttributeMap {
    let names = plan.get_expression_attribute_names().clone().unwrap_or_default();
    let name = |word: &str| names.get(word).cloned().unwrap_or_else(|| word.to_owned());
    let update = plan.get_update_expression().clone().unwrap();
    let (set, remove) = update.strip_prefix("SET ").unwrap().split_once(" REMOVE ").unwrap();
    for term in set.split(", ") {
        let (to, from) = term.trim().split_once(" = ").unwrap();
        let copied = |from: &str| item.get(&name(from)).cloned();
        let value = match from.strip_prefix("if_not_exists(").and_then(|rest| rest.strip_suffix(')')) {
            Some(either) => {
                let (from, other) = either.split_once(',').unwrap();
                copied(from).unwrap_or_else(|| value(plan, other))
            }
            None if from.starts_with(':') => value(plan, from),
            None => copied(from).unwrap(),
        };
        item.insert(name(to), value);
    }
    for word in remove.split(", ") {
        item.remove(&name(word));
    }
    item
}

#[test]
fn a_retried_head_reads_back_as_a_job_that_was_queued() {
    let now = Timestamp::from_millis(1_768_107_600_000);
    let ended = Ended { started_at: Some(now), completed_at: now, expires_at: Some(now.plus_hours(1)) };
    let error = JobError { message: "it broke".into(), failed_task: None, code: None };
    for state in [State::Failed(ended, error), State::Cancelled(ended)] {
        let head = Head {
            job: Job {
                id: id(),
                owner: owner(),
                kind: TypeName::try_from("scrape").unwrap(),
                external_id: None,
                name: None,
                priority: 2,
                labels: Labels::default(),
                created_at: now,
                updated_at: now,
                attempt: 1,
                max_attempts: 1,
                timeout_seconds: None,
                cost: None,
                trace_id: None,
                progress: Some(Progress { overall_progress: Percent::FULL, ..Progress::default() }),
                holder: None,
                last_try: None,
                bytes: 5,
                state,
            },
            shard: 0,
            fingerprint: Fingerprint::of(b"x"),
            written_by: id().as_uuid(),
            ttl_hours: 24,
            input: None,
            output: None,
            report: None,
            changed_by: None,
        };
        let later = now.plus_millis(5);
        let plan = retry(&tables(), &owner(), Seen::from(&head.job), later);
        let row = updated(head_row(&head).unwrap(), &plan);
        let mut expected = head;
        let ended = expected.job.ended_try();
        expected.job.state = State::Queued { available_at: later };
        expected.job.updated_at = later;
        expected.job.max_attempts = 2;
        expected.job.progress = None;
        expected.job.last_try = ended;
        assert_eq!(job_of_row(row.clone()).unwrap(), expected.job);
        assert_eq!(head_of_row(row.clone()).unwrap(), expected);
        let mut left = row;
        left.retain(|_, value| !value.is_null());
        assert_eq!(left, head_row(&expected).unwrap(), "nothing of its end is left");
    }
}

#[test]
fn a_retry_leads_only_where_the_status_table_does() {
    let expected: BTreeSet<_> = [Status::Failed, Status::Cancelled].into();
    assert_eq!(BulkAction::Retry.sources(), expected);
    assert!(expected.iter().all(|status| status.may_become(Status::Queued)));
}
