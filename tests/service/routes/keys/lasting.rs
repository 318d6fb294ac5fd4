//! How long functions use cached keys. Each test has one function, with a clock that stands still.

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::Service;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::clock;
use jobledger_tests::dynamo::{Dynamo, Item, text};
use jobledger_tests::keys::{add_key, id_and_key};
use jobledger_tests::problems::is_problem;
use serde_json::{Value, json};

use super::path;

/// A stack, and a function beside it with the test's clock.
struct CachedKeys {
    service: Service,
    lists: Alone,
    began: Timestamp,
}

impl CachedKeys {
    async fn start() -> Self {
        let service = Service::start().await;
        let began = system_clock();
        clock::set(began);
        let lists = lists(&service).await;
        Self { service, lists, began }
    }

    /// Lists jobs with this key, this many milliseconds after the beginning.
    #[track_caller]
    fn at(&self, millis: i64, key: &str, expected: Result<(), (u16, &str)>) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        clock::set(self.began.plus_millis(millis));
        let request = Request::new("GET", "/v1/jobs").header("authorization", &format!("Bearer {key}"));
        async move {
            let reply = self.lists.call(&request).await;
            match expected {
                Ok(()) => assert_eq!(reply.status, 200, "{caller}: {}", reply.text),
                Err((status, code)) => is_problem(&reply, status, code),
            }
        }
    }

    async fn change(&self, key_id: &str, change: &Value) {
        self.service.call("PATCH", &path(key_id)).json(change).expect(200).await;
    }
}

/// A function with an empty cache.
async fn lists(service: &Service) -> Alone {
    let environment = service.stack.environment("list-jobs").expect("the function");
    Alone::start("list-jobs", Environment { clock: clock::now, ..environment }).await
}

const UNKNOWN: Result<(), (u16, &str)> = Err((401, "unauthenticated"));
const UNREADABLE: Result<(), (u16, &str)> = Err((500, "internal"));
const LACKS: Result<(), (u16, &str)> = Err((403, "missing_scope"));

#[tokio::test]
async fn a_new_key_works_at_once_and_a_revoked_one_for_a_minute_at_most() {
    let fixture = CachedKeys::start().await;
    let body = json!({ "owner": "a", "scopes": ["read"] });
    let (key_id, key) = id_and_key(&fixture.service, &body).await;
    let (unseen_id, unseen) = id_and_key(&fixture.service, &body).await;
    fixture.at(0, &key, Ok(())).await;
    fixture.service.call("DELETE", &path(&key_id)).expect(200).await;
    fixture.service.call("DELETE", &path(&unseen_id)).expect(200).await;
    fixture.at(1, &key, Ok(())).await;
    // The function had not read this key before.
    fixture.at(1, &unseen, UNKNOWN).await;
    fixture.at(59_999, &key, Ok(())).await;
    fixture.at(60_000, &key, UNKNOWN).await;
    fixture.at(600_000, &key, UNKNOWN).await;
}

#[tokio::test]
async fn a_clock_that_goes_back_does_not_prolong_a_key() {
    let fixture = CachedKeys::start().await;
    let (key_id, key) = id_and_key(&fixture.service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    fixture.at(0, &key, Ok(())).await;
    fixture.service.call("DELETE", &path(&key_id)).expect(200).await;
    fixture.at(1, &key, Ok(())).await;
    fixture.at(-1, &key, UNKNOWN).await;
}

#[tokio::test]
async fn an_expired_key_ends_at_its_time_even_while_it_is_remembered() {
    let fixture = CachedKeys::start().await;
    let body = |millis: i64| json!({ "owner": "a", "scopes": ["read"], "expires_at": fixture.began.plus_millis(millis) });
    let (_, short) = id_and_key(&fixture.service, &body(30_000)).await;
    let (key_id, longer) = id_and_key(&fixture.service, &body(30_000)).await;
    fixture.at(0, &short, Ok(())).await;
    fixture.at(0, &longer, Ok(())).await;
    fixture.change(&key_id, &json!({ "expires_at": fixture.began.plus_millis(90_000) })).await;
    fixture.at(29_999, &short, Ok(())).await;
    fixture.at(30_000, &short, UNKNOWN).await;
    // The function sees the new expiry after a minute, like every change.
    fixture.at(30_000, &longer, UNKNOWN).await;
    fixture.at(60_000, &longer, Ok(())).await;
    fixture.at(89_999, &longer, Ok(())).await;
    fixture.at(90_000, &longer, UNKNOWN).await;
}

#[tokio::test]
async fn changed_scopes_come_through_within_a_minute() {
    let fixture = CachedKeys::start().await;
    let (key_id, key) = id_and_key(&fixture.service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    fixture.at(0, &key, Ok(())).await;
    fixture.change(&key_id, &json!({ "scopes": ["write"] })).await;
    fixture.at(59_999, &key, Ok(())).await;
    fixture.at(60_000, &key, LACKS).await;
    fixture.change(&key_id, &json!({ "scopes": ["write", "read"] })).await;
    fixture.at(119_999, &key, LACKS).await;
    fixture.at(120_000, &key, Ok(())).await;
}

#[tokio::test]
async fn a_key_is_held_against_the_whole_hash_that_is_kept() {
    let mut fixture = CachedKeys::start().await;
    let (key_id, key) = id_and_key(&fixture.service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    let settings =
        fixture.service.stack.environment("keys").expect("the function").vars["SETTINGS_TABLE"].clone();
    let dynamo = Dynamo::at(fixture.service.stack.dynamodb_endpoint());
    let items = dynamo.scan(&settings).await;
    let is_key = |item: &Item| (text(item, "kind"), text(item, "id")) == ("keys", &*key_id);
    let mut item = items.into_iter().find(is_key).expect("the key");
    let hash = text(&item, "hash").to_owned();
    let last = if hash.ends_with('0') { '1' } else { '0' };
    // A hash that differs from the key's in its last digit only, so that its first quarter is the same.
    let other = format!("{}{last}", &hash[..63]);
    for (kept, expected) in
        [(other.as_str(), UNKNOWN), (&hash[..16], UNREADABLE), ("", UNREADABLE), (&hash, Ok(()))]
    {
        item.insert("hash".to_owned(), json!({ "S": kept }));
        dynamo.put(&settings, &item).await;
        fixture.lists = lists(&fixture.service).await;
        fixture.at(0, &key, expected).await;
    }
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_again_after_five_seconds() {
    let fixture = CachedKeys::start().await;
    fixture.at(0, "later", UNKNOWN).await;
    add_key(&fixture.service, "later", "a", &["read"], None).await;
    fixture.at(4_999, "later", UNKNOWN).await;
    fixture.at(5_000, "later", Ok(())).await;
}
