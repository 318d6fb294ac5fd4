//! How usage is stored: at which time, each call once, and after failures.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jobledger::Environment;
use jobledger::access::{AccessControl, Flush, StoredAccess};
use jobledger::lambda::system_clock;
use jobledger::store::Ledger;
use jobledger_local::{LOCAL_KEY, Options, Storage};
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::dynamo::{Dynamo, text};
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::{Service, clock};
use serde_json::json;

use super::{Calls, key_id, note, time};

const BEGIN: &str = "2026-01-11T12:00:00Z";
/// One call of the local key to one route.
const ONE: Calls<'_> =
    Calls { owner: "default", key: LOCAL_KEY, route: "GET /v1/jobs", status: 200, times: 1 };

/// From now on, the functions of this thread see this time: so many milliseconds after the beginning.
fn passed(millis: i64) {
    clock::set(time(BEGIN).plus_millis(millis));
}

/// A function with this thread's clock, and the proxy before its store.
async fn behind(service: &Service, name: &str) -> (Alone, Proxy) {
    let (environment, proxy) = environment(service, name).await;
    (Alone::start(name, Environment { clock: clock::now, ..environment }).await, proxy)
}

/// Access control, and the proxy before its store.
async fn access_behind(service: &Service) -> (StoredAccess, Proxy) {
    let (environment, proxy) = environment(service, "usage").await;
    (StoredAccess::new(&Ledger::open(&environment).await.expect("a ledger")), proxy)
}

async fn environment(service: &Service, name: &str) -> (Environment, Proxy) {
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    proxy.show_usage();
    (service.environment_at(name, proxy.url()), proxy)
}

/// The stored number of the local key's calls, on all days.
async fn written(service: &Service) -> u64 {
    written_by_day(service).await.values().sum()
}

async fn written_by_day(service: &Service) -> BTreeMap<String, u64> {
    let table = service.stack.environment("usage").expect("the function").vars["USAGE_TABLE"].clone();
    let items = Dynamo::at(service.stack.dynamodb_endpoint()).scan(&table).await;
    let mut days = BTreeMap::new();
    for item in &items {
        let Some((day, _)) = text(item, "span").strip_prefix("day#").and_then(|rest| rest.split_once('#'))
        else {
            continue;
        };
        let calls = item.iter().filter(|(name, _)| name.starts_with("calls:"));
        let calls = calls.map(|(_, value)| value["N"].as_str().and_then(|n| n.parse().ok()).unwrap_or(0));
        *days.entry(day.to_owned()).or_default() += calls.sum::<u64>();
    }
    days
}

fn transactions(proxy: &Proxy) -> usize {
    proxy.operations().iter().filter(|operation| *operation == "TransactWriteItems").count()
}

/// Flushes until this many calls are stored. Each flush has a time limit, which a slow machine may miss.
async fn finished(service: &Service, function: &Alone, calls: u64) {
    let finished = async || {
        function.finish().await;
        (written(service).await >= calls).then_some(())
    };
    service.eventually("all that waits", finished).await;
    assert_eq!(written(service).await, calls);
}

#[tokio::test]
async fn usage_is_flushed_after_a_minute_and_at_the_end() {
    let service = Service::start().await;
    let (function, proxy) = behind(&service, "list-jobs").await;
    let list = Request::new("GET", "/v1/jobs").route("GET /v1/jobs");
    // Whether this call tried to flush. The flush may be completed only later.
    let tries = async |millis: i64| {
        let before = proxy.operations().len();
        passed(millis);
        assert_eq!(function.call(&list).await.status, 200);
        proxy.operations()[before..].iter().any(|operation| operation == "TransactWriteItems")
    };
    for millis in [0, 24_000, 59_999] {
        assert!(!tries(millis).await);
    }
    assert_eq!(written(&service).await, 0);
    assert!(tries(60_000).await);
    // The next minute begins with the first call after the flush.
    assert!(!tries(119_999).await);
    finished(&service, &function, 5).await;
    let before = transactions(&proxy);
    function.finish().await;
    assert_eq!(
        (transactions(&proxy), written(&service).await),
        (before, 5),
        "there is nothing more to write"
    );
    // A clock that goes back delays no flush.
    assert!(!tries(119_999).await);
    assert!(tries(-3_600_000).await);
    finished(&service, &function, 7).await;
    // An environment that dies loses the calls of its last minute, and no more.
    assert!(!tries(180_000).await);
    drop(function);
    assert_eq!(written(&service).await, 7);
}

#[tokio::test]
async fn calls_around_midnight_count_for_their_day_and_days_expire_after_400() {
    let service = Service::start().await;
    let (function, _proxy) = behind(&service, "get-job").await;
    let get =
        Request::new("GET", "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001").route("GET /v1/jobs/{job_id}");
    for millis in [43_199_999, 43_200_000, 43_200_001] {
        passed(millis);
        assert_eq!(function.call(&get).await.status, 404);
    }
    finished(&service, &function, 3).await;
    let days = written_by_day(&service).await;
    assert_eq!(days, BTreeMap::from([("2026-01-11".to_owned(), 1), ("2026-01-12".to_owned(), 2)]));
    let table = service.stack.environment("usage").expect("the function").vars["USAGE_TABLE"].clone();
    let items = Dynamo::at(service.stack.dynamodb_endpoint()).scan(&table).await;
    let end = (time("2026-01-11T00:00:00Z").millis() / 1_000 + 400 * 86_400).to_string();
    assert!(items.iter().any(|item| item["expires_at"]["N"] == json!(end)), "{items:?}");
    let reply = service.get("/v1/usage?from_date=2026-01-11&to_date=2026-01-12").expect(200).await;
    assert_eq!(
        reply.at("/by_route"),
        &json!({
            "GET /v1/jobs/{job_id}": { "calls": 3, "by_status": { "404": 3 } },
        })
    );
}

#[tokio::test]
async fn calls_succeed_while_usage_cannot_be_written_and_none_is_counted_twice() {
    for fault in [
        Fault::Held,
        Fault::AnswerHeld,
        Fault::Lost,
        Fault::AnswerLost,
        Fault::throttled(),
        Fault::broken(),
        Fault::refused(),
        Fault::cancelled(),
    ] {
        let service = Service::start().await;
        let (function, proxy) = behind(&service, "list-jobs").await;
        let list = Request::new("GET", "/v1/jobs").route("GET /v1/jobs");
        passed(0);
        function.call(&list).await;
        let bad = fault.clone();
        proxy.plan(
            move |seen| {
                if seen.operation == "TransactWriteItems" { bad.clone() } else { Fault::None }
            },
        );
        passed(60_000);
        // The flush never gets an answer, but the call does.
        assert_eq!(function.call(&list).await.status, 200, "{fault:?}");
        // Not every call tries again.
        let tried = transactions(&proxy);
        assert!(tried > 0);
        passed(119_000);
        assert_eq!(function.call(&list).await.status, 200);
        assert_eq!(transactions(&proxy), tried, "{fault:?}");
        passed(120_000);
        assert_eq!(function.call(&list).await.status, 200);
        assert!(transactions(&proxy) > tried);
        // Each retry has the same token and the same body.
        let sent = proxy.seen().into_iter().filter(|seen| seen.operation == "TransactWriteItems");
        let sent: Vec<_> = sent.map(|seen| seen.body).collect();
        assert!(sent.iter().all(|body| *body == sent[0]), "{sent:#?}");
        proxy.heal();
        finished(&service, &function, 4).await;
    }
}

#[tokio::test]
async fn a_write_of_usage_that_may_have_succeeded_is_not_repeated_too_late() {
    let service = Service::start().await;
    let (access, proxy) = access_behind(&service).await;
    note(&access, Calls { times: 3, ..ONE }, time(BEGIN));
    proxy.plan(|_| Fault::AnswerLost);
    access.flush(time(BEGIN), Flush::All).await;
    assert_eq!(written(&service).await, 3);
    proxy.heal();
    note(&access, ONE, time(BEGIN));
    let flushed = async || {
        access.flush(time(BEGIN).plus_millis(10 * 60_000), Flush::All).await;
        (written(&service).await >= 4).then_some(())
    };
    service.eventually("the call after it", flushed).await;
    assert_eq!(written(&service).await, 4);
}

#[tokio::test]
async fn usage_of_many_keys_is_written_a_hundred_at_a_time_up_to_a_limit() {
    let service = Service::start().await;
    let (access, proxy) = access_behind(&service).await;
    let now = system_clock();
    let keys: Vec<String> = (0..250).map(|number| format!("key {number}")).collect();
    for key in &keys {
        note(&access, Calls { key, times: 2, ..ONE }, now);
    }
    assert_eq!(key_id(&keys[0]).as_str().len(), 16);
    // A flush writes as many as its time allows. The next flush goes on.
    let flushed = async || {
        access.flush(now, Flush::All).await;
        (written(&service).await >= 500).then_some(())
    };
    service.eventually("the last key", flushed).await;
    assert!(
        proxy
            .seen()
            .iter()
            .all(|seen| { seen.body["TransactItems"].as_array().is_none_or(|items| items.len() <= 100) })
    );
    assert_eq!(written(&service).await, 500);

    let (access, _proxy) = access_behind(&service).await;
    for number in 0..2_010 {
        note(&access, Calls { key: &format!("stranger {number}"), ..ONE }, now);
    }
    let flushed = async || {
        access.flush(now, Flush::All).await;
        (written(&service).await >= 2_500).then_some(())
    };
    service.eventually("the last stranger", flushed).await;
    access.flush(now, Flush::All).await;
    assert_eq!(written(&service).await, 2_500);
}

#[tokio::test]
async fn the_sum_is_exactly_the_calls_made() {
    let service = Service::start().await;
    let mut functions = Vec::new();
    for name in ["list-jobs", "create-job", "get-job", "get-job-count"] {
        for _ in 0..3 {
            functions.push((name, behind(&service, name).await));
        }
    }
    // Some functions flush while others note calls.
    let calls = functions.iter().enumerate().map(|(place, (name, (function, _)))| async move {
        for round in 0..8 {
            passed(42_000 * round);
            let request = match *name {
                "list-jobs" => Request::new("GET", "/v1/jobs").route("GET /v1/jobs"),
                "create-job" => {
                    Request::new("POST", "/v1/jobs").body(r#"{"type":"a"}"#).route("POST /v1/jobs")
                }
                "get-job" => Request::new("GET", "/v1/jobs/x").route("GET /v1/jobs/{job_id}"),
                _ => Request::new("GET", "/v1/jobs/count").route("GET /v1/jobs/count"),
            };
            join_all((0..=place).map(|_| function.call(&request))).await;
        }
    });
    join_all(calls).await;
    // Writers that conflicted at the same item, and gave up for now, retry.
    let expected = 8 * (1..=12).sum::<u64>();
    let flushed = async || {
        join_all(functions.iter().map(|(_, (function, _))| function.finish())).await;
        (written(&service).await >= expected).then_some(())
    };
    service.eventually("the last call", flushed).await;
    join_all(functions.iter().map(|(_, (function, _))| function.finish())).await;
    let reply = service.get("/v1/usage?from_date=2026-01-11&to_date=2026-01-11").expect(200).await;
    assert_eq!(reply.at("/total_calls"), &json!(expected));
    let each = |from: u64| json!(8 * (from..from + 3).sum::<u64>());
    assert_eq!(
        reply.at("/by_route/GET ~1v1~1jobs"),
        &json!({ "calls": each(1), "by_status": { "200": each(1) } })
    );
    assert_eq!(
        reply.at("/by_route/POST ~1v1~1jobs"),
        &json!({ "calls": each(4), "by_status": { "201": each(4) } })
    );
    assert_eq!(reply.at("/by_route/GET ~1v1~1jobs~1{job_id}/by_status"), &json!({ "422": each(7) }));
    assert_eq!(reply.at("/by_route/GET ~1v1~1jobs~1count/calls"), &each(10));
}

#[tokio::test]
async fn a_stack_that_stops_has_flushed_all_usage() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = Storage::Directory(directory.path().to_owned());
    let options = || Options { storage: storage.clone(), ..Options::default() };
    let service = Service::with_options(options()).await;
    for _ in 0..5 {
        service.get("/v1/jobs").expect(200).await;
    }
    service.stop().await.expect("it stops in good order");
    let service = Service::with_options(options()).await;
    assert_eq!(written(&service).await, 5);
}
