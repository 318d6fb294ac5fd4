//! Two calls at once: one of them stands still before each of its requests in turn, and the other one runs meanwhile.

use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::Reply;
use jobledger_tests::alone::Request;
use jobledger_tests::at_once::each_of;
use jobledger_tests::faults::{Fault, Gate};
use jobledger_tests::problems::is_problem;
use serde_json::{Value, json};

use super::{FaultFixture, ProxiedFunction};

/// More requests than any of these calls sends.
const MAX_REQUESTS: usize = 12;

/// Calls the first function, has it stand still before the request of that number, and calls the other one meanwhile.
/// `None`: the first call sends fewer requests.
async fn interleaved(
    number: usize,
    (first, request): (&ProxiedFunction, &Request),
    (other, meanwhile): (&ProxiedFunction, &Request),
) -> Option<[Reply; 2]> {
    let gate = Gate::shut();
    let before = first.proxy.held_so_far();
    first.proxy.spoil(number, Fault::Gated(gate.clone()));
    let mut first_call = std::pin::pin!(first.call(request));
    tokio::select! {
        _ = &mut first_call => return None,
        () = first.proxy.held(before + 1) => {}
    }
    let other_call = async {
        let reply = other.call(meanwhile).await;
        gate.open();
        reply
    };
    let (late, early) = tokio::join!(first_call, other_call);
    Some([late, early])
}

/// A function, and the body that it is sent under the key.
type Keyed = (&'static str, Value);

async fn is_one_refused(fixture: &FaultFixture, [first, other]: [&Keyed; 2], name: &str) {
    let request = |(function, body): &Keyed, key: &str| {
        let path = if *function == "create-job" { "/v1/jobs" } else { "/v1/jobs/bulk" };
        Request::new("POST", path).header("idempotency-key", key).body(body.to_string())
    };
    let (one, two) = (fixture.behind(first.0).await, fixture.behind(other.0).await);
    let (one, two) = (one.knows_the_key().await, two.knows_the_key().await);
    for number in 0..MAX_REQUESTS {
        let key = format!("{name}-{number}");
        // Each try has jobs of its own, so that only the key can bring two calls together.
        let told = |(function, body): &Keyed| {
            let mut body = body.clone();
            if body.get("external_id").is_some() {
                body["external_id"] = json!(format!("{}-{key}", body["external_id"]));
            }
            (*function, body)
        };
        let (first, other) = (request(&told(first), &key), request(&told(other), &key));
        let Some(replies) = interleaved(number, (&one, &first), (&two, &other)).await else {
            assert!(number > 1, "{name}: {number} requests");
            return;
        };
        let mut statuses = replies.each_ref().map(|reply| reply.status);
        statuses.sort_unstable();
        let what = format!("{key}: {} and {}", replies[0].text, replies[1].text);
        assert!(matches!(statuses, [201 | 202, 422]), "{what}");
        let refused = replies.iter().find(|reply| reply.status == 422).expect("one is refused");
        assert_eq!(refused.at("/code"), "idempotency_key_reused", "{what}");
        // The one that was not refused finds its job again, and the other one stays refused.
        for (function, request, reply) in [(&one, &first, &replies[0]), (&two, &other, &replies[1])] {
            function.proxy.heal();
            let again = function.call(request).await;
            let expected = if reply.status == 201 { 200 } else { reply.status };
            assert_eq!(again.status, expected, "{what}, again: {}", again.text);
            assert_eq!(again.at("/job_id"), reply.at("/job_id"), "{what}");
        }
    }
    panic!("{name}: more requests than are tried");
}

#[tokio::test]
async fn one_key_with_two_bodies_makes_one_job() {
    let fixture = FaultFixture::start().await;
    let create = |body| ("create-job", body);
    let calls: [(&str, Keyed); 5] = [
        ("plain", create(json!({ "type": "x", "payload": 1 }))),
        ("other", create(json!({ "type": "x", "payload": 2 }))),
        ("named", create(json!({ "type": "x", "external_id": "a" }))),
        ("renamed", create(json!({ "type": "x", "external_id": "b" }))),
        ("bulk", ("bulk-jobs", json!({ "action": "cancel", "filter": { "type": "none" } }))),
    ];
    let calls = &calls;
    let pairs = calls.iter().flat_map(|first| calls.iter().map(move |other| [first, other]));
    let pairs = pairs.filter(|[first, other]| first.0 != other.0);
    let fixture = &fixture;
    each_of(pairs, |[first, other]| async move {
        is_one_refused(fixture, [&first.1, &other.1], &format!("{}-{}", first.0, other.0)).await;
    })
    .await;
}

/// The clock of both functions stands still, so both calls are of one millisecond.
#[tokio::test]
async fn of_two_retries_in_one_millisecond_one_queues_the_job() {
    let fixture = FaultFixture::start().await;
    let (one, two) = (fixture.patient("retry-job").await, fixture.patient("retry-job").await);
    let (one, two) = (one.knows_the_key().await, two.knows_the_key().await);
    for number in 0..MAX_REQUESTS {
        let id = fixture.job(&json!({ "type": "x" })).await;
        fixture.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
        let request = Request::new("POST", &format!("/v1/jobs/{id}/retry"));
        let Some([late, early]) = interleaved(number, (&one, &request), (&two, &request)).await else {
            assert!(number >= 2, "a retry reads, and writes");
            return;
        };
        assert_eq!((early.status, early.at("/status")), (200, &json!("queued")), "{}", early.text);
        is_problem(&late, 409, "wrong_status");
    }
    panic!("more requests than are tried");
}

/// The first sending of a report is late. Meanwhile the lease ends, and the worker sends the report again.
/// It hears that the lease is lost. Then the first sending completes the job, which must have its result.
#[tokio::test]
async fn a_report_that_is_sent_again_after_its_lease_keeps_its_result() {
    let fixture = FaultFixture::start().await;
    let (one, two) =
        (fixture.behind("update-job").await, fixture.behind_by("update-job", after_leases).await);
    let (one, two) = (one.knows_the_key().await, two.knows_the_key().await);
    for number in 0..MAX_REQUESTS {
        let (id, token) = fixture.held(&format!("late-{number}")).await;
        let body = json!({ "status": "completed", "result": { "pages": 7 }, "lease_token": token });
        let request = Request::new("PATCH", &format!("/v1/jobs/{id}")).body(body.to_string());
        let Some([late, early]) = interleaved(number, (&one, &request), (&two, &request)).await else {
            assert!(number >= 2, "a report writes its result, and the head");
            return;
        };
        is_problem(&early, 409, "lease_lost");
        assert_eq!(late.status, 200, "{}", late.text);
        let job = fixture.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
        assert_eq!(job.at("/result"), &json!({ "pages": 7 }), "request {number}: {}", job.text);
    }
    panic!("more requests than are tried");
}

fn after_leases() -> Timestamp {
    system_clock().plus_hours(1)
}
