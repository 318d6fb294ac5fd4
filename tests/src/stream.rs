//! What Lambda sends of the jobs' stream, made by hand; and what the counts must be then, counted anew.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jobledger::domain::{
    Ended, Fingerprint, Head, Job, JobError, JobId, Labels, Owner, State, Status, Timestamp, TypeName,
};
use jobledger::dynamo::schema::OWNERS;
use jobledger::dynamo::{AttributeMap, head_row};
use jobledger::tally::BOUNDS_MS;
use serde_json::{Map, Value, json};

use crate::dynamo::{Item, text};

/// 2026-01-31T22:30:00Z: an hour and a half before a month, a day and an hour end.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_769_898_600_000);
/// The first sequence number: the next ones soon have one digit more, so that they do not sort as text does.
const FIRST_SEQUENCE: u128 = 99_999_999_999_999_999_990;
const MINUTE_MS: i64 = 60_000;

/// One write to a head.
#[derive(Clone, Debug)]
pub struct Write {
    /// The head before.
    pub old: Option<Head>,
    /// The head after.
    pub new: Option<Head>,
}

/// A queued job.
pub fn queued(number: u128, owner: &str, kind: &str, created_at: Timestamp) -> Head {
    Head {
        job: Job {
            id: id(number),
            owner: Owner::try_from(owner).expect("an owner"),
            kind: TypeName::try_from(kind).expect("a type"),
            external_id: None,
            name: None,
            priority: 5,
            labels: Labels::default(),
            created_at,
            updated_at: created_at,
            attempt: 0,
            max_attempts: 3,
            timeout_seconds: None,
            cost: None,
            trace_id: None,
            progress: None,
            bytes: 0,
            state: State::Queued { available_at: created_at },
        },
        shard: 0,
        fingerprint: Fingerprint::of(b"made by hand"),
        written_by: id(number).as_uuid(),
        ttl_hours: 24,
        input: None,
        output: None,
    }
}

/// The same job in another status.
pub fn stepped(head: Head, status: Status) -> Head {
    let state = state(&head, status, &mut Dice::new(0));
    Head { job: Job { state, ..head.job }, ..head }
}

fn id(number: u128) -> JobId {
    let hex = format!("{number:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    JobId::try_from(parts.join("-").as_str()).expect("an id")
}

/// Numbers that look like chance and are the same each time.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall in an order of their own.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub const fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn millis(&mut self, below: u64) -> i64 {
        i64::try_from(self.roll(below)).unwrap_or(0)
    }
}

/// A stream's worth of lives: jobs of two owners and three types, created in several hours, days and two months, moved
/// through every step of the status table, renamed, moved to another hour, touched without a change that counts, and
/// removed.
pub fn lives(seed: u64, writes: usize) -> Vec<Write> {
    let mut dice = Dice::new(seed);
    let mut alive: Vec<Head> = Vec::new();
    let mut made = Vec::new();
    for number in 1..=writes {
        if alive.is_empty() || dice.roll(3) == 0 {
            let owner = ["ann", "bob"][usize::try_from(dice.roll(2)).unwrap_or(0)];
            let created_at = BEGIN.plus_millis(dice.millis(30 * 3_600_000));
            let number = u128::from(seed) << 64 | number as u128;
            let new = queued(number, owner, kind(&mut dice), created_at);
            alive.push(new.clone());
            made.push(Write { old: None, new: Some(new) });
        } else {
            let which = usize::try_from(dice.roll(alive.len() as u64)).unwrap_or(0);
            let old = alive.swap_remove(which);
            let new = next(&old, &mut dice);
            alive.extend(new.clone());
            made.push(Write { old: Some(old), new });
        }
    }
    made
}

fn kind(dice: &mut Dice) -> &'static str {
    ["render", "scrape", "a:b.c"][usize::try_from(dice.roll(3)).unwrap_or(0)]
}

fn next(old: &Head, dice: &mut Dice) -> Option<Head> {
    let mut new = old.clone();
    new.job.updated_at = old.job.updated_at.plus_millis(1 + dice.millis(100_000));
    match dice.roll(12) {
        // A heartbeat: nothing that is counted.
        0 | 1 => {}
        2 => new.job.kind = TypeName::try_from(kind(dice)).expect("a type"),
        3 => new.job.created_at = old.job.created_at.plus_millis(dice.millis(3 * 3_600_000)),
        4 if old.job.status().is_ended() => return None,
        _ => {
            let steps = old.job.status().steps();
            let place = usize::try_from(dice.roll(steps.len().max(1) as u64)).unwrap_or(0);
            let step = steps.get(place)?;
            new.job.state = state(old, *step, dice);
        }
    }
    Some(new)
}

fn state(old: &Head, status: Status, dice: &mut Dice) -> State {
    let started_at = old.job.state.started_at();
    let ended = |dice: &mut Dice| Ended {
        started_at,
        completed_at: started_at.unwrap_or(old.job.created_at).plus_millis(dice.millis(90_000_000)),
        expires_at: None,
    };
    match status {
        Status::Queued => {
            State::Queued { available_at: old.job.created_at.plus_millis(dice.millis(1_000_000)) }
        }
        Status::Running => {
            State::Running { started_at: old.job.created_at.plus_millis(dice.millis(2_000_000)), phase: None }
        }
        Status::Completed => State::Completed(ended(dice)),
        Status::Failed => {
            State::Failed(ended(dice), JobError { message: "out of luck".to_owned(), failed_task: None })
        }
        Status::Cancelled => State::Cancelled(ended(dice)),
    }
}

/// The record of a write, as Lambda sends it; `place` is its place in the shard, the first 0.
pub fn record(place: usize, write: &Write) -> Value {
    let image = |head: &Option<Head>| head.as_ref().map(|head| json_item(head_row(head).expect("a row")));
    let (old, new) = (image(&write.old), image(&write.new));
    let keys = new.as_ref().or(old.as_ref()).expect("an image");
    let keys = json!({ "job_id": keys["job_id"], "part": keys["part"] });
    raw_record(place, &keys, old, new)
}

/// A record of any item.
pub fn raw_record(place: usize, keys: &Value, old: Option<Item>, new: Option<Item>) -> Value {
    let name = match (&old, &new) {
        (None, _) => "INSERT",
        (Some(_), Some(_)) => "MODIFY",
        (Some(_), None) => "REMOVE",
    };
    let mut change = json!({
        "ApproximateCreationDateTime": 1_769_900_000,
        "Keys": keys,
        "SequenceNumber": sequence(place),
        "SizeBytes": 400,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    for (field, image) in [("OldImage", old), ("NewImage", new)] {
        if let Some(image) = image {
            change[field] = Value::Object(image);
        }
    }
    json!({
        "eventID": format!("event-{place}"),
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": change,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/jobs/stream/2026",
    })
}

/// The records of these writes, from this place in the shard on.
pub fn records(from: usize, writes: &[Write]) -> Vec<Value> {
    (from..).zip(writes).map(|(place, write)| record(place, write)).collect()
}

/// The sequence number of the record at this place.
pub fn sequence(place: usize) -> String {
    (FIRST_SEQUENCE + place as u128).to_string()
}

/// An event that brings records of a shard.
pub fn event(shard: &str, records: &[Value]) -> Value {
    window(shard, records, false)
}

/// The last event of a window: it brings none.
pub fn last_event(shard: &str) -> Value {
    window(shard, &[], true)
}

fn window(shard: &str, records: &[Value], last: bool) -> Value {
    json!({
        "Records": records,
        "window": { "start": "2026-01-31T22:30:00Z", "end": "2026-01-31T22:45:00Z" },
        "state": {},
        "shardId": shard,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/jobs/stream/2026",
        "isFinalInvokeForWindow": last,
        "isWindowTerminatedEarly": false,
    })
}

/// An item of the SDK in DynamoDB's JSON.
pub fn json_item(item: AttributeMap) -> Item {
    item.into_iter().map(|(name, value)| (name, json_value(value))).collect()
}

fn json_value(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::M(map) => json!({ "M": json_item(map) }),
        other => panic!("a head has no {other:?}"),
    }
}

/// The numbers of every bucket, by scope, bucket and type, and then by cell; what is 0 is left out.
pub type Counts = BTreeMap<(String, String), BTreeMap<String, i64>>;

/// What the counts must be after these writes: living jobs from what is left of them, the rest write by write.
pub fn recount(writes: &[Write]) -> Counts {
    let mut last: BTreeMap<JobId, Option<&Job>> = BTreeMap::new();
    let mut counts = Counts::new();
    for write in writes {
        let (old, new) = (write.old.as_ref().map(|head| &head.job), write.new.as_ref().map(|head| &head.job));
        if let Some(id) = old.or(new).map(|job| job.id) {
            last.insert(id, new);
        }
        let moved = match (old, new) {
            (Some(old), Some(new)) => {
                minute(old) != minute(new) || old.kind != new.kind || old.owner != new.owner
            }
            _ => true,
        };
        if let (Some(old), true) = (old, moved) {
            add(&mut counts, old, "removed", 1);
        }
        let Some(new) = new else { continue };
        if moved {
            add(&mut counts, new, "created", 1);
        }
        if moved || old.is_none_or(|old| old.status() != new.status()) {
            changed(&mut counts, old.filter(|_| !moved), new);
        }
    }
    for job in last.into_values().flatten() {
        add(&mut counts, job, &format!("alive:{}", job.status()), 1);
        add_slots(&mut counts, job);
    }
    nonzero(counts)
}

/// What a job adds when it comes into a status, or into sight in it.
fn changed(counts: &mut Counts, old: Option<&Job>, new: &Job) {
    let due = match old.map(|old| &old.state) {
        None => Some(new.created_at),
        Some(State::Queued { available_at }) => Some((*available_at).max(new.created_at)),
        Some(_) => None,
    };
    if let (Some(due), Some(started_at)) = (due, new.state.started_at()) {
        measured(counts, new, "wait", (started_at.millis() - due.millis()).max(0));
    }
    let Some(ended) = new.state.ended() else { return };
    add(counts, new, &format!("ended:{}", new.status()), 1);
    if let Some(started_at) = ended.started_at {
        measured(counts, new, "run", (ended.completed_at.millis() - started_at.millis()).max(0));
    }
}

fn measured(counts: &mut Counts, job: &Job, what: &str, millis: i64) {
    add(counts, job, &format!("count:{what}"), 1);
    add(counts, job, &format!("sum_ms:{what}"), millis);
    let bound =
        BOUNDS_MS.iter().filter(|bound| i64::try_from(**bound).is_ok_and(|bound| bound < millis)).count();
    let all = counts.entry(("*".to_owned(), format!("total@{}", job.kind))).or_default();
    *all.entry(format!("le:{what}:{bound}")).or_default() += 1;
}

fn minute(job: &Job) -> i64 {
    job.created_at.millis().div_euclid(MINUTE_MS)
}

/// Adds to all items that a job is in.
fn add(counts: &mut Counts, job: &Job, cell: &str, by: i64) {
    let owner = job.owner.to_string();
    let mut add = |scope: &str, name: String| {
        let cells = counts.entry((scope.to_owned(), name)).or_default();
        *cells.entry(cell.to_owned()).or_default() += by;
    };
    add("*", format!("total@{}", job.kind));
    add(&owner, "total".to_owned());
    add(&owner, format!("total@{}", job.kind));
    for (word, span, _) in spans(job) {
        add(&owner, format!("{word}#{span}"));
        add(&owner, format!("{word}@{}#{span}", job.kind));
    }
}

/// Adds to the cells of the shorter spans: of days in a month, hours in a day, minutes in an hour.
fn add_slots(counts: &mut Counts, job: &Job) {
    let letter = match job.status() {
        Status::Queued => 'q',
        Status::Running => 'r',
        Status::Completed => 'c',
        Status::Failed => 'f',
        Status::Cancelled => 'x',
    };
    for (word, span, slot) in spans(job) {
        for name in [format!("{word}#{span}"), format!("{word}@{}#{span}", job.kind)] {
            let cells = counts.entry((job.owner.to_string(), name)).or_default();
            *cells.entry(format!("{slot}{letter}")).or_default() += 1;
        }
    }
}

/// The buckets of a job's creation: a word, a span, and which of the shorter spans in it.
fn spans(job: &Job) -> [(&'static str, String, String); 3] {
    let time = job.created_at.to_string();
    [("month", 7), ("day", 10), ("hour", 13)]
        .map(|(word, length)| (word, time[..length].to_owned(), time[length + 1..length + 3].to_owned()))
}

fn nonzero(mut counts: Counts) -> Counts {
    for cells in counts.values_mut() {
        cells.retain(|_, value| *value != 0);
    }
    counts.retain(|_, cells| !cells.is_empty());
    counts
}

/// What the items of a tallies table count.
pub fn counts_of(items: &[Item]) -> Counts {
    let mut counts = Counts::new();
    for item in items {
        let bucket = text(item, "bucket").to_owned();
        let is_beside =
            text(item, "scope") == OWNERS || ["probe", "failed", "recount"].contains(&bucket.as_str());
        if bucket.starts_with("checkpoint#") || is_beside {
            continue;
        }
        let number = |value: &Value| value["N"].as_str().and_then(|number| number.parse::<i64>().ok());
        let counted = item.iter().filter(|(name, _)| *name != "revision");
        let cells = counted.filter_map(|(name, value)| Some((name.clone(), number(value)?)));
        counts.insert((text(item, "scope").to_owned(), bucket), cells.collect());
    }
    nonzero(counts)
}

/// An item that no function of ours can read: its attributes are of other types.
pub fn spoilt(head: &Head) -> Item {
    let mut item: Map<String, Value> = json_item(head_row(head).expect("a row"));
    item.insert("priority".to_owned(), json!({ "S": "high" }));
    item
}
