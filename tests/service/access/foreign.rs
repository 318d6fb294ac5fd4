//! One owner's data is out of reach for the keys of others: on every route of the template, by every filter, cursor
//! and id.

use jobledger_tests::claims::{ClaimedJob, create_and_claim};
use jobledger_tests::dynamo::{Dynamo, text as attribute};
use jobledger_tests::keys::{id_and_key, with_key};
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Call, Reply, Service, text};
use serde_json::{Value, json};

use super::{Route, routes};

/// A word in all data of the owner `mine`, and in no other data.
const MARK: &str = "sesame";

/// The data of `mine`, and the keys of the owner `theirs`.
struct TwoOwners {
    service: Service,
    /// Jobs: queued, held, completed.
    jobs: [String; 3],
    held: ClaimedJob,
    key_id: String,
    key: String,
    /// A key of the owner `theirs`, with all scopes but `admin`.
    foreign: String,
    /// A key of the owner `theirs`, with `admin`.
    foreign_admin: String,
}

impl TwoOwners {
    async fn start() -> Self {
        let service = Service::start().await;
        let all = ["read", "write", "work"];
        let mine = json!({ "owner": "mine", "scopes": ["read", "write", "work", "admin"], "name": MARK });
        let (key_id, key) = id_and_key(&service, &mine).await;
        let (_, foreign) = id_and_key(&service, &json!({ "owner": "theirs", "scopes": all })).await;
        let admin = json!({ "owner": "theirs", "scopes": ["admin"] });
        let (_, foreign_admin) = id_and_key(&service, &admin).await;
        let call = |method: &str, path: &str| with_key(&service, &key, method, path);
        call("PUT", "/v1/types/render")
            .json(&json!({ "stages": [{ "name": MARK, "weight": 1 }], "max_attempts": 7 }))
            .expect(200)
            .await;
        let create = async |external_id: &str, idempotency_key: &str| {
            let body = json!({
                "type": "render", "external_id": external_id, "name": format!("{MARK}.mov"), "payload": { "s": MARK },
                "metadata": { "s": MARK }, "labels": { "team": MARK, "model": MARK, "provider": MARK },
            });
            let call = call("POST", "/v1/jobs").header("idempotency-key", idempotency_key).json(&body);
            text(call.expect(201).await.at("/job_id"))
        };
        let held_id = create("e-held", "i-held").await;
        let claim = json!({ "worker_id": MARK, "types": ["render"], "max": 1 });
        let claimed = call("POST", "/v1/jobs/claim").json(&claim).expect(200).await;
        let held = ClaimedJob::of(claimed.at("/jobs/0"));
        assert_eq!(held.id, held_id);
        let queued = create("e-queued", "i-queued").await;
        let record = call("PUT", "/v1/records/source/e-record").json(&json!({ "status": MARK }));
        record.expect(201).await;
        let line = json!([{
            "external_id": "e-done", "type": "render", "status": "completed", "name": MARK, "result": { "s": MARK },
            "started_at": "2026-01-11T05:00:00Z", "completed_at": "2026-01-11T05:01:00Z", "cost_usd": "12.5",
            "labels": { "team": MARK, "model": MARK },
        }]);
        call("POST", "/v1/admin/ingest/jobs").json(&line).expect(200).await;
        let found = call("GET", "/v1/jobs?external_id=e-done").expect(200).await;
        let done = text(found.at("/jobs/0/job_id"));
        service.settled().await;
        Self { service, jobs: [queued, held_id, done], held, key_id, key, foreign, foreign_admin }
    }

    fn call(&self, method: &str, path: &str) -> Call {
        with_key(&self.service, &self.foreign, method, path)
    }

    /// Everything stored of `mine`, except the usage of its key.
    async fn stored(&self) -> Vec<Value> {
        self.service.settled().await;
        let dynamo = Dynamo::at(self.service.stack.dynamodb_endpoint());
        let mut all = Vec::new();
        for table in &self.service.stack.template().tables {
            for item in dynamo.scan(&table.name).await {
                let is_mine = ["owner", "scope"].iter().any(|name| attribute(&item, name) == "mine")
                    || attribute(&item, "id").starts_with("mine#")
                    || self.jobs.iter().any(|id| attribute(&item, "job_id") == id);
                if is_mine && table.id != "UsageTable" {
                    all.push(json!([table.id, item]));
                }
            }
        }
        all.sort_by_key(ToString::to_string);
        assert!(all.len() > 10, "jobs, counts, settings and a key: {all:?}");
        all
    }

    /// The values of paths, all of them of `mine`.
    fn values<'a>(&'a self, job_id: &'a str) -> [(&'a str, &'a str); 5] {
        let key_id = self.key_id.as_str();
        [("job_id", job_id), ("type", "render"), ("key_id", key_id), ("kind", "source"), ("id+", "e-record")]
    }

    /// A body that each route accepts, so that its refusal has no other cause.
    fn body(&self, route: &Route) -> Value {
        match (route.method.as_str(), route.target.as_str()) {
            ("POST", "/v1/jobs") => json!({ "type": "render", "external_id": "e-queued" }),
            ("POST", "/v1/jobs/claim") => json!({ "worker_id": "w", "types": ["render"], "max": 10 }),
            ("POST", "/v1/jobs/bulk") => json!({ "action": "delete", "filter": { "type": "render" } }),
            ("POST", "/v1/jobs/batch-status") => json!({ "job_ids": self.jobs }),
            ("PATCH", "/v1/jobs/{job_id}") => json!({ "name": "other" }),
            ("PUT" | "PATCH", "/v1/types/{type}") => json!({ "max_attempts": 2 }),
            _ => json!({}),
        }
    }
}

/// All that an answer tells, but for the id of its request, its time, and how many calls are left.
fn told(reply: &Reply) -> (u16, &str, Vec<String>) {
    let headers = reply
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date", "ratelimit"].contains(&name.as_str()));
    let mut headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    (reply.status, &reply.text, headers)
}

#[tokio::test]
async fn no_route_shows_or_changes_data_of_another_owner() {
    let fixture = TwoOwners::start().await;
    let before = fixture.stored().await;
    for route in routes(&fixture.service).1 {
        for key in [&fixture.foreign, &fixture.foreign_admin] {
            // An admin may manage all keys, recount for every owner, and ask the metrics store.
            let is_for_all =
                ["/v1/admin/", "/api/metrics/"].iter().any(|begin| route.target.starts_with(begin));
            if *key == fixture.foreign_admin && is_for_all {
                continue;
            }
            for job_id in &fixture.jobs {
                let values = fixture.values(job_id);
                let path = Route::path_of(&route.target, &values);
                let call = with_key(&fixture.service, key, &route.method, &path);
                let reply = call.json(&fixture.body(&route)).send().await;
                let all = format!("{} {:?}", reply.text, reply.headers);
                assert!(!all.contains(MARK), "{} {path}: {all}", route.method);
                if route.target.contains("{job_id}") {
                    is_problem(&reply, 404, "job_not_found");
                    let unknown = Route::path_of(&route.target, &[]);
                    let unknown = with_key(&fixture.service, key, &route.method, &unknown);
                    let unknown = unknown.json(&fixture.body(&route)).send().await;
                    assert_eq!(told(&reply), told(&unknown), "{} {path}", route.method);
                } else if route.target.starts_with("/v1/admin/") {
                    is_problem(&reply, 403, "missing_scope");
                } else {
                    assert!(reply.status < 500, "{} {path}: {}", route.method, reply.text);
                }
            }
        }
    }
    assert_eq!(fixture.stored().await, before);
}

/// Open routes show types of jobs, and kinds and statuses of records. They show nothing else of any owner.
#[tokio::test]
async fn routes_without_a_key_show_only_numbers() {
    let fixture = TwoOwners::start().await;
    for route in routes(&fixture.service).0 {
        let reply = route.call(&fixture.service).expect(200).await;
        let mut told = 0;
        for line in reply.text.lines().filter(|line| line.contains(MARK)) {
            // The metrics show the statuses of records on purpose.
            assert!(line.starts_with("jobledger_records{"), "{}: {line}", route.path);
            told += 1;
        }
        assert_eq!(told, usize::from(!route.path.starts_with("/health")), "{}: {}", route.path, reply.text);
        for id in fixture.jobs.iter().chain([&fixture.key_id, &fixture.key, &fixture.held.token]) {
            assert!(!reply.text.contains(id.as_str()), "{}: {}", route.path, reply.text);
        }
    }
}

#[tokio::test]
async fn naming_another_owner_is_refused_on_every_route() {
    let fixture = TwoOwners::start().await;
    let before = fixture.stored().await;
    for route in routes(&fixture.service).1 {
        for owner in ["mine", "nobody", "*", ""] {
            let values = fixture.values(&fixture.jobs[0]);
            let path = format!("{}?owner={owner}", Route::path_of(&route.target, &values));
            let reply = fixture.call(&route.method, &path).json(&fixture.body(&route)).send().await;
            is_problem(&reply, 403, "missing_scope");
        }
    }
    assert_eq!(fixture.stored().await, before);
}

#[tokio::test]
async fn no_filter_finds_jobs_of_another_owner() {
    let fixture = TwoOwners::start().await;
    let filters: Vec<String> = [
        "external_id=e-queued",
        "search=sesame",
        "search=mov",
        "team=sesame",
        "model=sesame",
        "provider=sesame",
        "type=render",
        "status=queued,running,completed",
        "type=render&status=queued",
        "priority=0",
        "from_date=2026-01-01",
        "sort_by=updated_at",
        "sort_by=priority&sort_order=asc",
        "page=1&per_page=500",
        "offset=0",
        "",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(fixture.jobs.iter().flat_map(|id| [format!("search={id}"), format!("external_id={id}")]))
    .collect();
    let own = with_key(&fixture.service, &fixture.key, "GET", "/v1/jobs").expect(200).await;
    assert_eq!(own.at("/total"), 3, "{}", own.text);
    for filter in &filters {
        let list = fixture.call("GET", &format!("/v1/jobs?{filter}")).expect(200).await;
        assert_eq!((list.at("/total"), list.at("/jobs")), (&json!(0), &json!([])), "{filter}");
        let filter: String =
            filter.split('&').filter(|part| !is_of_pages(part)).collect::<Vec<_>>().join("&");
        let count = fixture.call("GET", &format!("/v1/jobs/count?{filter}")).expect(200).await;
        assert_eq!(count.at("/total"), 0, "{filter}: {}", count.text);
        let file = fixture.call("GET", &format!("/v1/jobs/export?format=ndjson&{filter}")).send().await;
        assert_eq!((file.status, file.text.as_str()), (200, ""), "{filter}");
    }
    let stats = fixture.call("GET", "/v1/jobs/stats").expect(200).await;
    assert_eq!((stats.at("/created_jobs"), stats.at("/storage/used_bytes")), (&json!(0), &json!(0)));
    for by in ["by-model", "by-team"] {
        let costs = fixture.call("GET", &format!("/v1/analytics/cost/{by}")).expect(200).await;
        assert_eq!(costs.at("/items"), &json!([]), "{}", costs.text);
    }
    let many = fixture.call("POST", "/v1/jobs/batch-status").json(&json!({ "job_ids": fixture.jobs }));
    let many = many.expect(200).await;
    assert_eq!((many.at("/jobs"), many.at("/not_found")), (&json!([]), &json!(fixture.jobs)));
    let claim = json!({ "worker_id": "w", "types": ["render"], "max": 10 });
    let claimed = fixture.call("POST", "/v1/jobs/claim").json(&claim).expect(200).await;
    assert_eq!(claimed.at("/jobs"), &json!([]));
    is_problem(&fixture.call("GET", "/v1/records/source/e-record").send().await, 404, "record_not_found");
    is_problem(&fixture.call("DELETE", "/v1/records/source/e-record").send().await, 404, "record_not_found");
    let records = fixture.call("GET", "/v1/records/count").expect(200).await;
    assert_eq!((records.at("/total"), records.at("/items")), (&json!(0), &json!([])));
    let kind = fixture.call("GET", "/v1/types/render").expect(200).await;
    assert_eq!((kind.at("/max_attempts"), kind.at("/stages")), (&json!(null), &json!([])), "{}", kind.text);
}

fn is_of_pages(part: &str) -> bool {
    ["sort_", "page=", "per_page=", "offset="].iter().any(|begin| part.starts_with(begin))
}

#[tokio::test]
async fn a_cursor_of_another_owners_list_is_refused() {
    let fixture = TwoOwners::start().await;
    for list in [
        "limit=1",
        "limit=1&type=render",
        "limit=1&search=mov",
        "limit=1&sort_by=priority",
        "limit=1&offset=1",
    ] {
        let page =
            with_key(&fixture.service, &fixture.key, "GET", &format!("/v1/jobs?{list}")).expect(200).await;
        let cursor = text(page.at("/next_cursor"));
        let list = list.replace("&offset=1", "");
        let path = format!("/v1/jobs?{list}&cursor={cursor}");
        with_key(&fixture.service, &fixture.key, "GET", &path).expect(200).await;
        for key in [&fixture.foreign, &fixture.foreign_admin] {
            let reply = with_key(&fixture.service, key, "GET", &path).send().await;
            refuses(&reply, 422, "invalid_query", &["cursor"]);
        }
    }
}

#[tokio::test]
async fn the_same_external_id_of_two_owners_names_two_jobs() {
    let fixture = TwoOwners::start().await;
    let before = fixture.stored().await;
    let body = json!({ "type": "render", "external_id": "e-queued" });
    let own =
        fixture.call("POST", "/v1/jobs").header("idempotency-key", "i-queued").json(&body).expect(201).await;
    assert!(!fixture.jobs.contains(&text(own.at("/job_id"))), "{}", own.text);
    let plain = fixture.call("POST", "/v1/jobs").header("idempotency-key", "i-held");
    let plain = plain.json(&json!({ "type": "render" })).expect(201).await;
    assert!(!fixture.jobs.contains(&text(plain.at("/job_id"))), "{}", plain.text);
    fixture.call("PUT", "/v1/types/render").json(&json!({ "max_concurrency": 1 })).expect(200).await;
    // A bulk action finds only jobs of its own owner.
    let bulk = json!({ "action": "delete", "filter": { "type": "render" } });
    let bulk = fixture.call("POST", "/v1/jobs/bulk").json(&bulk).expect(202).await;
    fixture.service.settled().await;
    let done = fixture.call("GET", &format!("/v1/jobs/{}", text(bulk.at("/job_id")))).expect(200).await;
    assert_eq!(
        (done.at("/result/matched"), done.at("/result/changed")),
        (&json!(2), &json!(2)),
        "{}",
        done.text
    );
    for filter in [json!({ "owner": "mine" }), json!({ "type": "render", "owner": "mine" })] {
        let bulk = json!({ "action": "delete", "filter": filter });
        let reply = fixture.call("POST", "/v1/jobs/bulk").json(&bulk).send().await;
        refuses(&reply, 400, "invalid_body", &["filter.owner"]);
    }
    assert_eq!(fixture.stored().await, before);
}

#[tokio::test]
async fn another_owner_cannot_use_a_lease_token() {
    let fixture = TwoOwners::start().await;
    let before = fixture.stored().await;
    for report in [
        json!({ "progress": { "overall_progress": 50 } }),
        json!({ "status": "completed", "result": 1 }),
        json!({ "status": "failed", "error": "x" }),
    ] {
        let mut report = report;
        report["lease_token"] = json!(fixture.held.token);
        for key in [&fixture.foreign, &fixture.foreign_admin] {
            let call = with_key(&fixture.service, key, "PATCH", &format!("/v1/jobs/{}", fixture.held.id));
            is_problem(&call.json(&report).send().await, 404, "job_not_found");
        }
    }
    assert_eq!(fixture.stored().await, before);
    // The worker that holds the job can still complete it.
    let report = json!({ "lease_token": fixture.held.token, "status": "completed" });
    let path = format!("/v1/jobs/{}", fixture.held.id);
    with_key(&fixture.service, &fixture.key, "PATCH", &path).json(&report).expect(200).await;
    create_and_claim(&fixture.service, &json!({ "type": "render" })).await;
}

#[tokio::test]
async fn usage_of_another_owners_key_is_not_shown() {
    let fixture = TwoOwners::start().await;
    let path = format!("/v1/usage?key_id={}", fixture.key_id);
    is_problem(&fixture.call("GET", &path).send().await, 403, "missing_scope");
    // An admin sees the keys of the owner for which it acts.
    let other = with_key(&fixture.service, &fixture.foreign_admin, "GET", &path).expect(200).await;
    assert_eq!(
        (other.at("/owner"), other.at("/total_calls")),
        (&json!("theirs"), &json!(0)),
        "{}",
        other.text
    );
}
