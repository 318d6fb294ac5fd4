//! The stream of records. The function `record` writes, and the test delivers the stream as Lambda may.

use std::collections::BTreeMap;

use jobledger_tests::PATIENCE;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::dynamo::{Item, text};
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::stream::{Counts, Dice, event, lives, raw_record, records, sequence};
use serde_json::{Value, json};

use super::{Counter, SHARD, TallyFixture, deliver};

/// A shard of the stream of records.
const RECORD_SHARD: &str = "shardId-00000001772000000001-bbbbbbbb";
/// Writes of one history.
const WRITES: usize = 150;
/// Histories, each with other deliveries.
const HISTORIES: u64 = 4;
/// Deliveries of each history.
const DELIVERIES: usize = 30;
/// Kinds whose batch takes two commits.
const MANY_KINDS: usize = 60;
/// One read, two commits, and the deletes of counts at 0: both statuses of some kinds, of the owner and of all.
const REQUESTS: usize = 3 + MANY_KINDS / 10 * 4;

/// The writes to a table of records, and its counts after each write.
struct History {
    table: String,
    stream: Vec<Value>,
    after: Vec<Counts>,
}

/// Writes records by the function, and keeps the stream records of these writes.
struct Writer<'a> {
    fixture: &'a TallyFixture,
    function: Alone,
    items: BTreeMap<String, Item>,
    history: History,
}

impl<'a> Writer<'a> {
    async fn start(fixture: &'a TallyFixture, seed: u64) -> Self {
        let mut environment = fixture.service.stack.environment("record").expect("the function");
        let table = format!("{}-{seed}", environment.vars["RECORDS_TABLE"]);
        let made = json!({
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "record", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "record", "KeyType": "HASH" }],
        });
        fixture.dynamo.call("CreateTable", &made).await;
        let what = json!({ "TableName": table });
        let active = async {
            while fixture.dynamo.call("DescribeTable", &what).await["Table"]["TableStatus"] != "ACTIVE" {}
        };
        tokio::time::timeout(PATIENCE, active).await.expect("the table is made");
        environment.vars.insert("RECORDS_TABLE".to_owned(), table.clone());
        let history = History { table, stream: Vec::new(), after: Vec::new() };
        Self { fixture, function: Alone::start("record", environment).await, items: BTreeMap::new(), history }
    }

    /// Sends a request. If it changes the record's item, that is one record of the stream.
    async fn write(&mut self, method: &str, owner: &str, kind: &str, id: &str, status: Option<&str>) {
        let request = Request::new(method, &format!("/v1/records/{kind}/{id}?owner={owner}"))
            .body(json!({ "status": status }).to_string());
        let reply = self.function.call(&request).await;
        assert!([200, 201, 404].contains(&reply.status), "{}", reply.text);
        let key = format!("{owner}#{kind}#{id}");
        let keys = json!({ "record": { "S": key } });
        let asked = json!({ "TableName": self.history.table, "Key": keys, "ConsistentRead": true });
        let new = self.fixture.dynamo.call("GetItem", &asked).await["Item"].as_object().cloned();
        let old = match &new {
            Some(new) => self.items.insert(key, new.clone()),
            None => self.items.remove(&key),
        };
        if old.is_some() || new.is_some() {
            let place = self.history.stream.len();
            self.history.stream.push(raw_record(place, &keys, old, new));
            self.history.after.push(plain(self.items.values()));
        }
    }
}

/// Counts records one by one, for their owner and for all owners.
fn plain<'a>(items: impl IntoIterator<Item = &'a Item>) -> Counts {
    let mut counts = Counts::new();
    for item in items {
        let mut words = text(item, "record").splitn(3, '#');
        let (owner, kind) = (words.next().expect("an owner"), words.next().expect("a kind"));
        let bucket = format!("records#{kind}#{}", text(item, "status"));
        for scope in [owner, "*"] {
            let cells = counts.entry((scope.to_owned(), bucket.clone())).or_default();
            *cells.entry("records".to_owned()).or_default() += 1;
        }
    }
    counts
}

impl Counter {
    /// No count of records may stay at 0.
    async fn has_nothing_empty(&self) {
        let empty = |item: &Item| text(item, "bucket").starts_with("records#") && item["records"]["N"] == "0";
        let items = self.dynamo.scan(&self.table).await;
        assert_eq!(items.iter().filter(|item| empty(item)).collect::<Vec<_>>(), Vec::<&Item>::new());
    }
}

/// A random history: callers create records of three owners, change their status, repeat, delete and create them again.
async fn history(fixture: &TallyFixture, seed: u64) -> History {
    let mut dice = Dice::new(seed);
    let mut writer = Writer::start(fixture, seed).await;
    while writer.history.stream.len() < WRITES {
        let owner = *dice.pick(&["ann", "bob", "default"]);
        let kind = *dice.pick(&["source", "extraction", "entity", "source-2"]);
        let id = *dice.pick(&["1", "2", "a b", "a/b#c"]);
        let status = *dice.pick(&[None, Some("ready"), Some("ready"), Some("failed"), Some("x:y")]);
        let method = *dice.pick(&["PUT", "PUT", "PUT", "DELETE"]);
        writer.write(method, owner, kind, id, status).await;
    }
    // The counts at the end must equal a count of the whole table.
    let all = fixture.dynamo.scan(&writer.history.table).await;
    assert_eq!(writer.history.after.last(), Some(&plain(&all)));
    writer.history
}

impl History {
    /// The counts must be those after this many writes.
    async fn expect(&self, counter: &Counter, writes: usize) {
        let expected = writes.checked_sub(1).map(|last| self.after[last].clone()).unwrap_or_default();
        assert_eq!(counter.counts().await, expected, "after {writes} writes");
    }

    /// The counts must match the checkpoint.
    async fn expect_up_to_the_checkpoint(&self, counter: &Counter) {
        let checkpoint = counter.checkpoint(RECORD_SHARD).await;
        let done = (0..self.stream.len()).find(|place| sequence(*place) == checkpoint);
        assert_eq!(done.is_none(), checkpoint.is_empty());
        self.expect(counter, done.map_or(0, |place| place + 1)).await;
    }
}

#[tokio::test]
async fn repeated_overlapping_and_cut_batches_count_once() {
    let fixture = TallyFixture::start().await;
    for seed in 0..HISTORIES {
        let (counter, history) = (fixture.counter().await, history(&fixture, seed).await);
        let mut dice = Dice::new(seed);
        let mut taken: usize = 0;
        for _ in 0..DELIVERIES {
            let function = counter.function().await;
            let from = taken - dice.below(taken.min(50) + 1);
            let to = (from + 1 + dice.below(30)).min(history.stream.len());
            for _ in 0..=dice.below(2) {
                deliver(&function, RECORD_SHARD, &history.stream[from..to]).await;
            }
            taken = taken.max(to);
            history.expect(&counter, taken).await;
            counter.has_nothing_empty().await;
        }
        let function = counter.function().await;
        deliver(&function, RECORD_SHARD, &history.stream[taken.saturating_sub(1)..]).await;
        history.expect(&counter, WRITES).await;
        // Much later, all of it again, and a part.
        deliver(&function, RECORD_SHARD, &history.stream).await;
        deliver(&function, RECORD_SHARD, &history.stream[WRITES / 2..]).await;
        history.expect(&counter, WRITES).await;
    }
}

/// A record of each of many kinds, then another status for each; then half of them are deleted.
async fn many_kinds(fixture: &TallyFixture) -> History {
    let mut writer = Writer::start(fixture, 1_000).await;
    let kinds: Vec<String> = (0..MANY_KINDS).map(|number| format!("kind-{number}")).collect();
    for kind in &kinds {
        writer.write("PUT", "ann", kind, "1", None).await;
    }
    for kind in &kinds[..MANY_KINDS / 10] {
        writer.write("PUT", "ann", kind, "1", Some("ready")).await;
        writer.write("DELETE", "ann", kind, "1", None).await;
    }
    writer.history
}

#[tokio::test]
async fn a_crash_at_any_request_counts_every_write_once() {
    let fixture = TallyFixture::start().await;
    let history = many_kinds(&fixture).await;
    let all = event(RECORD_SHARD, &history.stream);
    for number in 0..REQUESTS {
        for fault in [Fault::Held, Fault::AnswerHeld] {
            let counter = fixture.counter().await;
            let proxy = Proxy::start(fixture.endpoint()).await;
            let function = counter.function_at(proxy.url()).await;
            proxy.spoil(number, fault);
            tokio::select! {
                answer = function.invoke(&all) => panic!("no request was held: {answer:?}"),
                () = proxy.held(1) => {}
            }
            history.expect_up_to_the_checkpoint(&counter).await;
            deliver(&counter.function().await, RECORD_SHARD, &history.stream).await;
            history.expect(&counter, history.stream.len()).await;
            counter.has_nothing_empty().await;
        }
    }
    let counter = fixture.counter().await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    deliver(&counter.function_at(proxy.url()).await, RECORD_SHARD, &history.stream).await;
    let operations = proxy.operations();
    assert_eq!(operations[..3], ["GetItem", "TransactWriteItems", "TransactWriteItems"]);
    assert_eq!(operations[3..], ["DeleteItem"].repeat(REQUESTS - 3));
}

/// One function counts both streams. Each shard has its own checkpoint, and neither changes the other's numbers.
#[tokio::test]
async fn jobs_and_records_are_counted_side_by_side() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let (one, other) = (counter.function().await, counter.function().await);
    let (history, writes) = (history(&fixture, 2_000).await, lives(90, WRITES));
    let jobs = records(0, &writes);
    for from in (0..WRITES).step_by(30) {
        for _ in 0..2 {
            tokio::join!(
                deliver(&one, SHARD, &jobs[from..from + 30]),
                deliver(&other, RECORD_SHARD, &history.stream[from..from + 30]),
            );
        }
    }
    let mut expected = jobledger_tests::stream::recount(&writes);
    expected.extend(history.after[WRITES - 1].clone());
    assert_eq!(counter.counts().await, expected);
    for shard in [SHARD, RECORD_SHARD] {
        assert_eq!(counter.checkpoint(shard).await, sequence(WRITES - 1));
    }
}

#[tokio::test]
async fn a_change_that_moves_no_number_writes_nothing() {
    let fixture = TallyFixture::start().await;
    let mut writer = Writer::start(&fixture, 3_000).await;
    for status in [Some("ready"), Some("ready"), Some("ready")] {
        writer.write("PUT", "ann", "source", "1", status).await;
    }
    let (counter, stream) = (fixture.counter().await, writer.history.stream.clone());
    let function = counter.function().await;
    deliver(&function, RECORD_SHARD, &stream[..1]).await;
    let before = fixture.dynamo.scan(&counter.table).await;
    deliver(&function, RECORD_SHARD, &stream[1..]).await;
    let same = |mut items: Vec<Item>| {
        items.sort_by_key(|item| (text(item, "scope").to_owned(), text(item, "bucket").to_owned()));
        items
    };
    assert_eq!(same(fixture.dynamo.scan(&counter.table).await), same(before));
    writer.history.expect(&counter, 3).await;
}

/// As soon as an owner has any count, of a job or not, the list of owners contains it.
#[tokio::test]
async fn an_owner_without_jobs_is_among_the_owners() {
    let fixture = TallyFixture::start().await;
    let mut writer = Writer::start(&fixture, 4_000).await;
    writer.write("PUT", "quiet", "source", "1", None).await;
    let counter = fixture.counter().await;
    deliver(&counter.function().await, RECORD_SHARD, &writer.history.stream).await;
    let items = fixture.dynamo.scan(&counter.table).await;
    assert!(items.iter().any(|item| text(item, "scope") == "*owners" && text(item, "bucket") == "quiet"));
}

#[tokio::test]
async fn unreadable_records_are_counted_and_skipped() {
    let fixture = TallyFixture::start().await;
    let mut writer = Writer::start(&fixture, 5_000).await;
    for id in ["1", "2", "3", "4"] {
        writer.write("PUT", "ann", "source", id, Some("ready")).await;
    }
    let mut stream = writer.history.stream.clone();
    stream[1]["dynamodb"]["NewImage"]["status"] = json!({ "S": "not a word" });
    stream[2]["dynamodb"]["Keys"] = json!({ "other": { "S": "x" } });
    let counter = fixture.counter().await;
    let function = counter.function().await;
    for _ in 0..2 {
        deliver(&function, RECORD_SHARD, &stream).await;
        assert_eq!(counter.unreadable().await, 2);
        writer.history.expect(&counter, 2).await;
        assert_eq!(counter.checkpoint(RECORD_SHARD).await, sequence(3));
    }
}
