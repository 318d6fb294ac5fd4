//! The observer. It sees each head and each type before and after every write, and records each broken rule.

use std::collections::{BTreeMap, HashMap, HashSet};

use jobledger::domain::{LeaseToken, Status, Timestamp};
use jobledger_tests::engine::Engine;
use serde_json::{Value, json};

use crate::clock;
use crate::rules;
use crate::stored::{StoredHead, StoredType};

/// Watches a store.
pub(crate) struct Observer {
    engine: Engine,
    /// The heads that exist.
    pub(crate) heads: BTreeMap<String, StoredHead>,
    /// The types that have settings.
    pub(crate) types: BTreeMap<String, StoredType>,
    /// Every token that a head ever had, with its job and its attempt.
    pub(crate) tokens: HashMap<String, (String, u32)>,
    /// Tokens that claims returned.
    handed: HashSet<String>,
    /// Reports that a worker sent with a token, accepted or not.
    pub(crate) said: HashSet<(String, &'static str)>,
    /// Reports that ended an attempt.
    pub(crate) applied: HashSet<(String, &'static str)>,
    /// Reports that were sent at least once while their lease held: one may be slow to arrive.
    pub(crate) in_time: HashSet<(String, &'static str)>,
    /// How often a report with a token moved the end of its lease.
    pub(crate) renewals: HashMap<String, u32>,
    /// Tokens under which a caller cancelled a job.
    pub(crate) called_off: HashSet<String>,
    /// All broken rules.
    pub(crate) wrong: Vec<String>,
    /// The events of the run, for a person who looks for a mistake.
    pub(crate) log: Vec<String>,
}

impl Observer {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            heads: BTreeMap::new(),
            types: BTreeMap::new(),
            tokens: HashMap::new(),
            handed: HashSet::new(),
            said: HashSet::new(),
            applied: HashSet::new(),
            in_time: HashSet::new(),
            renewals: HashMap::new(),
            called_off: HashSet::new(),
            wrong: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Records a broken rule.
    pub(crate) fn blame(&mut self, what: impl Into<String>) {
        let what = format!("{} {}", clock::now(), what.into());
        self.log.push(format!("WRONG: {what}"));
        self.wrong.push(what);
    }

    /// Records an event.
    pub(crate) fn tell(&mut self, what: impl std::fmt::Display) {
        self.log.push(format!("{} {what}", clock::now()));
    }

    /// Records a write.
    pub(crate) fn wrote(&mut self, function: &'static str, operation: &str, body: &str) {
        let body: Value = serde_json::from_str(body).expect("JSON");
        let writes: Vec<&Value> = match operation {
            "TransactWriteItems" => {
                let items = body["TransactItems"].as_array().into_iter().flatten();
                items.filter_map(|item| item.as_object()?.values().next()).collect()
            }
            // It writes only parts of jobs.
            "BatchWriteItem" => return,
            _ => vec![&body],
        };
        let mut kinds = Vec::new();
        // Types first: the rules for a step use the type as it is after the step.
        for write in &writes {
            kinds.extend(self.type_of(write));
        }
        for write in writes {
            if let Some(id) = self.head_of(write) {
                let new = self.read_head(&id);
                let old = self.heads.get(&id).cloned();
                kinds.extend(old.iter().chain(new.iter()).map(|seen| seen.kind.clone()));
                match &new {
                    Some(new) => self.heads.insert(id.clone(), new.clone()),
                    None => self.heads.remove(&id),
                };
                if old != new {
                    self.tell(format!("{function}: {id} {} -> {}", shown(old.as_ref()), shown(new.as_ref())));
                    rules::head_changed(self, function, &id, old.as_ref(), new.as_ref());
                }
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            rules::slots_are_counted(self, &kind);
        }
    }

    fn head_of(&self, write: &Value) -> Option<String> {
        let key = if write["Item"].is_null() { &write["Key"] } else { &write["Item"] };
        let is_head = write["TableName"] == self.engine.table("JOBS_TABLE") && key["part"]["S"] == "head";
        is_head.then(|| key["job_id"]["S"].as_str().unwrap_or_default().to_owned())
    }

    /// Reads the type that was written, and returns its name.
    fn type_of(&mut self, write: &Value) -> Option<String> {
        let key = &write["Key"];
        let is_type =
            write["TableName"] == self.engine.table("SETTINGS_TABLE") && key["kind"]["S"] == "types";
        let id = key["id"]["S"].as_str().filter(|_| is_type)?;
        let kind = id.split_once('#')?.1.to_owned();
        let get = json!({
            "TableName": write["TableName"], "Key": { "kind": { "S": "types" }, "id": { "S": id } }, "ConsistentRead": true,
        });
        let new = StoredType::of(&self.engine.call("GetItem", &get)["Item"]);
        let old = self.types.insert(kind.clone(), new.clone());
        if old.as_ref() != Some(&new) {
            self.tell(format!("type {kind}: {old:?} -> {new:?}"));
        }
        if old.is_none_or(|old| old.opens_at.is_some()) && new.opens_at.is_none() && new.limit.is_some() {
            rules::all_that_runs_has_a_slot(self, &kind);
        }
        Some(kind)
    }

    fn read_head(&self, id: &str) -> Option<StoredHead> {
        let get = json!({
            "TableName": self.engine.table("JOBS_TABLE"), "ConsistentRead": true,
            "Key": { "job_id": { "S": id }, "part": { "S": "head" } },
        });
        let item = &self.engine.call("GetItem", &get)["Item"];
        (!item.is_null()).then(|| StoredHead::of(item))
    }

    /// Jobs of a type that workers hold.
    pub(crate) fn held(&self, kind: &str) -> impl Iterator<Item = (&String, &StoredHead)> {
        self.heads.iter().filter(move |(_, seen)| seen.kind == kind && seen.is_held())
    }

    /// Whether a token's lease is valid now.
    pub(crate) fn holds(&self, id: &str, token: &str) -> bool {
        let now = clock::now();
        self.heads.get(id).is_some_and(|seen| {
            seen.status == Status::Running
                && seen.token.as_deref() == Some(token)
                && seen.until.is_some_and(|until| until >= now)
        })
    }

    /// Whether a caller cancelled the job under this token, and nothing else has changed it since.
    pub(crate) fn is_called_off(&self, id: &str, token: &str) -> bool {
        self.called_off.contains(token)
            && self
                .heads
                .get(id)
                .is_some_and(|seen| seen.status == Status::Cancelled && seen.token.as_deref() == Some(token))
    }

    /// Whether the attempt with this token is the job's last one.
    pub(crate) fn is_last_try(&self, id: &str, token: &str) -> bool {
        let attempt = self.tokens.get(token).map(|(_, attempt)| *attempt);
        self.heads.get(id).is_some_and(|seen| Some(seen.attempt) == attempt)
    }

    /// Records that a claim returned this job.
    pub(crate) fn hand_out(&mut self, worker: &str, job: &Value) {
        let id = job["job_id"].as_str().unwrap_or_default().to_owned();
        let token = job["lease_token"].as_str().unwrap_or_default().to_owned();
        let attempt = job["attempt"].as_u64().unwrap_or_default();
        self.tell(format!("{worker} got {id}, try {attempt}, {}", tail(&token)));
        if !self.handed.insert(token.clone()) {
            self.blame(format!("two claims answered one token of {id}"));
        }
        let known = self.tokens.get(&token).cloned();
        if !known.is_some_and(|(of, number)| of == id && u64::from(number) == attempt) {
            self.blame(format!("{worker} got {id}, try {attempt}, which it has never held"));
        }
        if job["status"] != "running" {
            self.blame(format!("{worker} got {id}, which does not run"));
        }
    }

    /// The deadline in a token.
    pub(crate) fn deadline(token: &str) -> Option<Timestamp> {
        LeaseToken::try_from(token.to_owned()).ok().and_then(|token| token.terms().deadline)
    }

    /// The ids of all jobs.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.heads.keys().cloned().collect()
    }
}

/// The last characters of a token's secret, to tell it from others.
pub(crate) fn tail(token: &str) -> &str {
    token.split('.').nth(4).map_or("-", |secret| &secret[secret.len() - 6..])
}

fn shown(seen: Option<&StoredHead>) -> String {
    seen.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}
