//! The numbers of the functions themselves: each is added exactly once, at most once a minute, and nobody's call fails for it.

use jobledger::Environment;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::capacity::item_bytes;
use jobledger_tests::dynamo::{Dynamo, Item, text};
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::metrics::{Samples, is_well_formed};
use jobledger_tests::stream::{BEGIN, event, lives, records};
use jobledger_tests::{Service, clock};
use serde_json::json;

/// From now on, the functions of this thread see this time: so many milliseconds after the beginning.
fn passed(millis: i64) {
    clock::set(BEGIN.plus_millis(millis));
}

/// A function with this thread's clock, and the proxy before its store.
async fn behind(service: &Service, name: &str) -> (Alone, Proxy) {
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    proxy.show_usage();
    let environment = Environment { clock: clock::now, ..service.environment_at(name, proxy.url()) };
    (Alone::start(name, environment).await, proxy)
}

fn list(query: &str) -> Request {
    Request::new("GET", &format!("/v1/jobs{query}")).route("GET /v1/jobs")
}

/// The metrics, by a function with this thread's clock.
async fn scrape(service: &Service) -> Samples {
    let environment = Environment {
        clock: clock::now,
        ..service.environment_at("metrics", service.stack.dynamodb_endpoint())
    };
    let reply = Alone::start("metrics", environment).await.call(&Request::new("GET", "/metrics")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    Samples::parse(&reply.text)
}

fn requests(status: u16) -> String {
    format!(
        "jobledger_http_requests_total{{function=\"list-jobs\",method=\"GET\",route=\"/v1/jobs\",status=\"{status}\"}}"
    )
}

/// The stored numbers of a function.
async fn stored(service: &Service, function: &str) -> Option<Item> {
    let table = service.stack.environment("usage").expect("the function").vars["USAGE_TABLE"].clone();
    let items = Dynamo::at(service.stack.dynamodb_endpoint()).partition(&table, "owner", "*functions").await;
    items.into_iter().find(|item| text(item, "span") == function)
}

fn transactions(proxy: &Proxy) -> usize {
    proxy.operations().iter().filter(|operation| *operation == "TransactWriteItems").count()
}

#[tokio::test]
async fn requests_of_all_environments_are_added_by_route_and_status() {
    let service = Service::start().await;
    passed(0);
    let [(one, _one), (other, _other)] =
        [behind(&service, "list-jobs").await, behind(&service, "list-jobs").await];
    for (function, query, status) in [(&one, "", 200), (&one, "?limit=5", 200), (&other, "?limit=x", 422)] {
        assert_eq!(function.call(&list(query)).await.status, status);
    }
    assert_eq!(scrape(&service).await.of("jobledger_http").count(), 0, "nothing is written down yet");
    for function in [&one, &other] {
        function.finish().await;
    }
    let samples = scrape(&service).await;
    samples.check(&requests(200), "2");
    samples.check(&requests(422), "1");
    samples.check("jobledger_http_request_duration_seconds_count{function=\"list-jobs\"}", "3");
    samples.check("jobledger_http_request_duration_seconds_bucket{le=\"+Inf\",function=\"list-jobs\"}", "3");
    samples.check("jobledger_cold_starts_total{function=\"list-jobs\"}", "2");
    samples.check("jobledger_dynamodb_up", "1");
    samples.check("jobledger_active_tasks", "0");
    assert!(samples.count("jobledger_dynamodb_request_duration_seconds_count{operation=\"Query\"}") > 0);
    for kind in ["resident", "virtual"] {
        let bytes = samples
            .count(&format!("jobledger_process_memory_bytes{{function=\"list-jobs\",type=\"{kind}\"}}"));
        assert!(bytes > 1 << 20, "{bytes}");
    }
    is_well_formed(&service).await;

    // A counter goes on after everything was started anew. The memory of a function is shown as long as it is called.
    passed(600_000);
    let (third, _third) = behind(&service, "list-jobs").await;
    third.call(&list("")).await;
    assert_eq!(scrape(&service).await.of("jobledger_process_memory").count(), 0);
    third.finish().await;
    let samples = scrape(&service).await;
    samples.check(&requests(200), "3");
    samples.check("jobledger_cold_starts_total{function=\"list-jobs\"}", "3");
    assert_eq!(samples.of("jobledger_process_memory").count(), 2);
    // An environment that dies loses its last minute only.
    third.call(&list("")).await;
    drop(third);
    scrape(&service).await.check(&requests(200), "3");
}

#[tokio::test]
async fn numbers_are_written_once_a_minute_beside_the_usage() {
    let service = Service::start().await;
    let (function, proxy) = behind(&service, "list-jobs").await;
    for minute in 0..5 {
        for second in 0..6 {
            passed(minute * 60_000 + second * 10_000);
            assert_eq!(function.call(&list("")).await.status, 200);
        }
        let writes = usize::try_from(minute).expect("a count");
        service.eventually("the flush", async || (transactions(&proxy) >= writes).then_some(())).await;
        assert_eq!(transactions(&proxy), writes, "in minute {minute}");
    }
    let writes = proxy.seen().into_iter().filter(|seen| seen.operation == "TransactWriteItems");
    for write in writes {
        // One item of the key, and one of the function: 2 units for each KB that was started.
        assert_eq!(write.body["TransactItems"].as_array().map(Vec::len), Some(2), "{}", write.body);
    }
    let item = stored(&service, "list-jobs").await.expect("its numbers");
    assert!(item_bytes(&item) <= 1_024, "{} bytes: {item:?}", item_bytes(&item));
}

#[tokio::test]
async fn a_minute_without_requests_writes_nothing() {
    let service = Service::start().await;
    let (function, proxy) = behind(&service, "list-jobs").await;
    passed(0);
    function.call(&list("")).await;
    function.finish().await;
    let before = transactions(&proxy);
    for minute in 1..4 {
        passed(minute * 60_000);
        function.finish().await;
    }
    assert_eq!((before, transactions(&proxy)), (1, 1));
}

#[tokio::test]
async fn each_number_is_added_once_although_answers_are_lost() {
    for fault in [Fault::Lost, Fault::AnswerLost, Fault::AnswerHeld, Fault::throttled(), Fault::cancelled()] {
        let service = Service::start().await;
        let (function, proxy) = behind(&service, "list-jobs").await;
        passed(0);
        function.call(&list("")).await;
        let bad = fault.clone();
        proxy.plan(
            move |seen| {
                if seen.operation == "TransactWriteItems" { bad.clone() } else { Fault::None }
            },
        );
        for minute in 1..4 {
            passed(minute * 60_000);
            assert_eq!(function.call(&list("")).await.status, 200, "{fault:?}");
        }
        proxy.heal();
        let written = async || {
            function.finish().await;
            let item = stored(&service, "list-jobs").await?;
            (item["r:200:GET /v1/jobs"]["N"] == "4").then_some(item)
        };
        let item = service.eventually("all numbers", written).await;
        assert_eq!(item["cold"]["N"], "1", "{fault:?}");
    }
}

#[tokio::test]
async fn events_are_counted_by_what_became_of_them() {
    let service = Service::start().await;
    passed(0);
    let (function, proxy) = behind(&service, "tally-jobs").await;
    let told = |word: &str| {
        format!("jobledger_events_processed_total{{consumer=\"tally-jobs\",outcome=\"{word}\"}}")
    };
    let writes = lives(7, 12);
    let mut all = records(0, &writes);
    all[3]["dynamodb"]["NewImage"] = json!({ "job_id": { "S": "x" }, "part": { "S": "head" } });
    function.invoke(&event("shard-1", &all)).await.expect("the batch is counted");
    proxy.plan(|seen| if seen.operation == "GetItem" { Fault::broken() } else { Fault::None });
    let more = records(12, &lives(8, 5));
    function.invoke(&event("shard-1", &more)).await.expect_err("the checkpoint cannot be read");
    proxy.heal();
    function.invoke(&event("shard-1", &more)).await.expect("the batch is counted");
    function.finish().await;
    let samples = scrape(&service).await;
    samples.check(&told("processed"), "17");
    samples.check(&told("failed"), "5");
    samples.check(&told("unreadable"), "0");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_a_number_too() {
    let service = Service::start().await;
    passed(0);
    let (metrics, proxy) = behind(&service, "metrics").await;
    let get = Request::new("GET", "/metrics");
    for fault in [Fault::Lost, Fault::broken(), Fault::throttled()] {
        let bad = fault.clone();
        proxy.plan(move |_| bad.clone());
        let reply = metrics.call(&get).await;
        assert_eq!(reply.status, 200, "{fault:?}: {}", reply.text);
        let samples = Samples::parse(&reply.text);
        samples.check("jobledger_dynamodb_up", "0");
        assert_eq!(samples.of("jobledger").count(), 2, "nothing else is known");
    }
    proxy.heal();
    Samples::parse(&metrics.call(&get).await.text).check("jobledger_dynamodb_up", "1");
}
