//! Lambda's events of the jobs' stream, made by the test.

use aws_sdk_dynamodb::types::AttributeValue;
use jobledger::domain::{
    Ended, ErrorCode, Fingerprint, Head, Job, JobError, JobId, Labels, Owner, State, Status, Timestamp, Try,
    TypeName,
};
use jobledger::store::{AttributeMap, head_row};
use serde_json::{Map, Value, json};

pub use crate::dice::Dice;
use crate::dynamo::Item;
pub use crate::recount::{Counts, counts_of, recount};

/// 2026-01-31T22:30:00Z: an hour and a half before the end of a month, of a day and of an hour.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_769_898_600_000);
/// The first sequence number. Later ones have one digit more, so they do not sort like text.
const FIRST_SEQUENCE: u128 = 99_999_999_999_999_999_990;

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
            failures: 0,
            unheard: 0,
            timeout_seconds: None,
            cost: None,
            trace_id: None,
            progress: None,
            holder: None,
            last_try: None,
            arrival: None,
            bytes: 0,
            state: State::Queued { available_at: created_at },
        },
        shard: 0,
        fingerprint: Fingerprint::of(b"made by hand"),
        written_by: id(number).as_uuid(),
        ttl_hours: 24,
        input: None,
        output: None,
        report: None,
        changed_by: None,
        retried_by: None,
    }
}

/// The same job in another status.
pub fn stepped(head: Head, status: Status) -> Head {
    let state = state(&head, status, &mut Dice::new(0));
    Head { job: Job { state, ..head.job }, ..head }
}

/// The id with this number.
pub fn id(number: u128) -> JobId {
    let hex = format!("{number:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    JobId::try_from(parts.join("-").as_str()).expect("an id")
}

/// The lives of many jobs, of two owners and three types. They are created in several hours, days and two months. They
/// take every step of the status table, change their name or hour, get a heartbeat, and are removed.
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
        // A heartbeat changes no number.
        0 | 1 => {}
        2 => new.job.kind = TypeName::try_from(kind(dice)).expect("a type"),
        3 => new.job.created_at = old.job.created_at.plus_millis(dice.millis(3 * 3_600_000)),
        4 if old.job.status().is_ended() => return None,
        _ => {
            let steps = old.job.status().steps();
            let place = usize::try_from(dice.roll(steps.len().max(1) as u64)).unwrap_or(0);
            let step = steps.get(place)?;
            new.job.state = state(old, *step, dice);
            new.job.attempt += u32::from(*step == Status::Running);
            ends_try(&mut new, old);
        }
    }
    Some(new)
}

/// The error codes of failed attempts; `None`: no known code.
const CODES: [Option<&str>; 5] =
    [None, Some("lease_expired"), Some("timeout"), Some("handed_back"), Some("out_of_memory")];

/// The messages of failed jobs, and the group that each is counted in, if it has no code.
pub const MESSAGES: [(&str, &str); 4] = [
    ("out of luck", "out of luck"),
    ("cannot reach 10.0.0.1:80 after 3 tries\nat line 7", "cannot reach <n> after <n> tries"),
    ("cannot reach 10.0.0.2:8080 after 12 tries", "cannot reach <n> after <n> tries"),
    ("no 'a b' in job 0198ab12-3456-7abc-8def-0123456789ab", "no '<text>' in job <id>"),
];

/// Sets the reason of an attempt's end, if the step from `old` ended one badly.
pub fn ends_try(new: &mut Head, old: &Head) {
    let job = &mut new.job;
    let place = usize::try_from(job.updated_at.millis().rem_euclid(5)).unwrap_or(0);
    let code = CODES[place].map(|code| ErrorCode::try_from(code).expect("a code"));
    match (&old.job.state, &mut job.state) {
        (_, State::Failed(_, error)) => error.code = code,
        (State::Running { started_at, .. }, State::Queued { .. }) => {
            let error = JobError { message: "once more".to_owned(), failed_task: None, code };
            let number = job.last_try.as_ref().map_or(1, |tried| tried.number + 1);
            let (started_at, ended_at) = (*started_at, job.updated_at);
            job.last_try = Some(Try { number, worker: None, started_at, ended_at, error: Some(error) });
        }
        _ => {}
    }
}

/// A state with this status that may follow.
pub fn state(old: &Head, status: Status, dice: &mut Dice) -> State {
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
        Status::Running => State::Running {
            started_at: old.job.created_at.plus_millis(dice.millis(2_000_000)),
            phase: None,
            lease: None,
        },
        Status::Completed => State::Completed(ended(dice)),
        Status::Failed => {
            let ended = ended(dice);
            let place = usize::try_from(ended.completed_at.millis().rem_euclid(4)).unwrap_or(0);
            let message = MESSAGES[place].0.to_owned();
            State::Failed(ended, JobError { message, failed_task: None, code: None })
        }
        Status::Cancelled => State::Cancelled(ended(dice)),
    }
}

/// The record of a write, as Lambda sends it. `place` is its place in the shard, the first 0.
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

/// The records of these writes, beginning at this place in the shard.
pub fn records(from: usize, writes: &[Write]) -> Vec<Value> {
    (from..).zip(writes).map(|(place, write)| record(place, write)).collect()
}

/// The sequence number of the record at this place.
pub fn sequence(place: usize) -> String {
    (FIRST_SEQUENCE + place as u128).to_string()
}

/// An event with records of a shard.
pub fn event(shard: &str, records: &[Value]) -> Value {
    window(shard, records, false)
}

/// The last event of a window, without records.
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

/// An item of the SDK as DynamoDB's JSON.
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

/// An item that the service cannot read: its attributes have other types.
pub fn spoilt(head: &Head) -> Item {
    let mut item: Map<String, Value> = json_item(head_row(head).expect("a row"));
    item.insert("priority".to_owned(), json!({ "S": "high" }));
    item
}
