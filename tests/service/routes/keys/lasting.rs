//! How long functions go by what they remember of keys: one function by itself, with a clock that stands still.

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::Service;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::clock;
use jobledger_tests::dynamo::{Dynamo, text};
use serde_json::{Value, json};

use super::super::is_problem;
use super::{id_and_key, path};
use crate::access::add_key;

/// A stack, and a function beside it that goes by a clock of the test's.
struct House {
    service: Service,
    lists: Alone,
    began: Timestamp,
}

impl House {
    async fn start() -> Self {
        let service = Service::start().await;
        let began = system_clock();
        clock::set(began);
        let lists = lists(&service).await;
        Self { service, lists, began }
    }

    /// Lists jobs with this key, so many milliseconds after the beginning.
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

/// A function that remembers nothing yet.
async fn lists(service: &Service) -> Alone {
    let environment = service.stack.environment("list-jobs").expect("the function");
    Alone::start("list-jobs", Environment { clock: clock::now, ..environment }).await
}

const UNKNOWN: Result<(), (u16, &str)> = Err((401, "unauthenticated"));
const UNREADABLE: Result<(), (u16, &str)> = Err((500, "internal"));
const LACKS: Result<(), (u16, &str)> = Err((403, "missing_scope"));

#[tokio::test]
async fn a_new_key_works_at_once_and_a_revoked_one_for_a_minute_at_most() {
    let house = House::start().await;
    let body = json!({ "owner": "a", "scopes": ["read"] });
    let (key_id, key) = id_and_key(&house.service, &body).await;
    let (unseen_id, unseen) = id_and_key(&house.service, &body).await;
    house.at(0, &key, Ok(())).await;
    house.service.call("DELETE", &path(&key_id)).expect(200).await;
    house.service.call("DELETE", &path(&unseen_id)).expect(200).await;
    house.at(1, &key, Ok(())).await;
    // Nobody had seen this one.
    house.at(1, &unseen, UNKNOWN).await;
    house.at(59_999, &key, Ok(())).await;
    house.at(60_000, &key, UNKNOWN).await;
    house.at(600_000, &key, UNKNOWN).await;
}

#[tokio::test]
async fn a_clock_that_goes_back_lengthens_no_ones_time() {
    let house = House::start().await;
    let (key_id, key) = id_and_key(&house.service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    house.at(0, &key, Ok(())).await;
    house.service.call("DELETE", &path(&key_id)).expect(200).await;
    house.at(1, &key, Ok(())).await;
    house.at(-1, &key, UNKNOWN).await;
}

#[tokio::test]
async fn an_expired_key_ends_at_its_time_even_while_it_is_remembered() {
    let house = House::start().await;
    let body = |millis: i64| json!({ "owner": "a", "scopes": ["read"], "expires_at": house.began.plus_millis(millis) });
    let (_, short) = id_and_key(&house.service, &body(30_000)).await;
    let (key_id, longer) = id_and_key(&house.service, &body(30_000)).await;
    house.at(0, &short, Ok(())).await;
    house.at(0, &longer, Ok(())).await;
    house.change(&key_id, &json!({ "expires_at": house.began.plus_millis(90_000) })).await;
    house.at(29_999, &short, Ok(())).await;
    house.at(30_000, &short, UNKNOWN).await;
    // What it was changed to comes through with the minute, as all changes do.
    house.at(30_000, &longer, UNKNOWN).await;
    house.at(60_000, &longer, Ok(())).await;
    house.at(89_999, &longer, Ok(())).await;
    house.at(90_000, &longer, UNKNOWN).await;
}

#[tokio::test]
async fn changed_scopes_come_through_within_a_minute() {
    let house = House::start().await;
    let (key_id, key) = id_and_key(&house.service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    house.at(0, &key, Ok(())).await;
    house.change(&key_id, &json!({ "scopes": ["write"] })).await;
    house.at(59_999, &key, Ok(())).await;
    house.at(60_000, &key, LACKS).await;
    house.change(&key_id, &json!({ "scopes": ["write", "read"] })).await;
    house.at(119_999, &key, LACKS).await;
    house.at(120_000, &key, Ok(())).await;
}

#[tokio::test]
async fn a_key_is_held_against_the_whole_hash_that_is_kept() {
    let mut house = House::start().await;
    let (key_id, key) = id_and_key(&house.service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    let settings =
        house.service.stack.environment("keys").expect("the function").vars["SETTINGS_TABLE"].clone();
    let dynamo = Dynamo::at(house.service.stack.dynamodb_endpoint());
    let items = dynamo.scan(&settings).await;
    let mut item = items.into_iter().find(|item| text(item, "id") == key_id).expect("the key");
    let hash = text(&item, "hash").to_owned();
    let last = if hash.ends_with('0') { '1' } else { '0' };
    // As that of a text with the same first quarter would be: another one in nothing but its last digit.
    let other = format!("{}{last}", &hash[..63]);
    for (kept, expected) in
        [(other.as_str(), UNKNOWN), (&hash[..16], UNREADABLE), ("", UNREADABLE), (&hash, Ok(()))]
    {
        item.insert("hash".to_owned(), json!({ "S": kept }));
        dynamo.put(&settings, &item).await;
        house.lists = lists(&house.service).await;
        house.at(0, &key, expected).await;
    }
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_again_after_five_seconds() {
    let house = House::start().await;
    house.at(0, "later", UNKNOWN).await;
    add_key(&house.service, "later", "a", &["read"], None).await;
    house.at(4_999, "later", UNKNOWN).await;
    house.at(5_000, "later", Ok(())).await;
}
