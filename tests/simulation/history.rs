//! Random lives of jobs: the writes to their heads, in order.

use std::collections::BTreeMap;

use jobledger::domain::{
    ExternalId, Head, JobId, JobName, Labels, MicroDollars, Owner, Status, Timestamp, TypeName,
};
use jobledger_tests::stream::{Dice, Write, ends_try, queued, state};

use crate::engine::INDEX_SHARDS;

/// The jobs that exist.
pub(crate) type Heads = BTreeMap<JobId, Head>;

/// Times at which a minute, an hour, a day, a month, a year or the calendar ends or begins.
const EDGES: [&str; 12] = [
    "2026-01-31T23:59:59.999Z",
    "2026-02-01T00:00:00.000Z",
    "2026-01-11T05:59:59.999Z",
    "2026-01-11T06:00:00.000Z",
    "2026-03-09T17:42:00.000Z",
    "2025-12-31T23:59:59.999Z",
    "2024-02-29T12:00:00.000Z",
    "2026-01-01T00:00:00.000Z",
    "1970-01-01T00:00:00.000Z",
    "1993-10-01T07:00:03.000Z",
    "0001-01-01T00:00:00.000Z",
    "9999-12-31T23:59:59.999Z",
];
/// Distances of new jobs from an edge, in milliseconds.
const SPREADS_MS: [u64; 7] = [1, 3, 1_000, 60_000, 3_600_000, 86_400_000, 40 * 86_400_000];
/// The same, for a run with many jobs.
const CROWDS_MS: [u64; 3] = [1_000, 60_000, 1_800_000];
const NAMES: [&str; 6] =
    ["Report.PDF", "report final", "ÄPFEL über", "x", "100% [a-z]_#?&+=", "Ext 1, ext 2"];
/// The chance of a rare name: one in this many.
const RARE: u64 = 150;
const TEAMS: [&str; 3] = ["red", "blue", "a b+c"];
const MODELS: [&str; 3] = ["gpt-4", "x#y-z@", "ö"];
/// Different ids that callers give; they repeat.
const EXTERNAL_IDS: u64 = 8;
/// Different priorities.
const PRIORITIES: u64 = 4;
/// Highest cost of a job, in micro-dollars.
const COSTS: u64 = 5_000_000;

/// The events of a run.
pub(crate) struct History {
    pub(crate) dice: Dice,
    /// Distinguishes the run's owners, types and shards from those of other runs.
    pub(crate) tag: String,
    pub(crate) owners: Vec<String>,
    pub(crate) kinds: Vec<String>,
    /// The number of parts of the indexes.
    pub(crate) shards: u16,
    pub(crate) heads: Heads,
    /// All writes, in order.
    pub(crate) writes: Vec<Write>,
    edges: Vec<Timestamp>,
    spread_ms: u64,
}

impl History {
    /// A run without events.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let tag = format!("s{seed}");
        let names = |dice: &mut Dice, word: &str, most: u64| -> Vec<String> {
            // Few, in most runs.
            let last = dice.roll(most).min(dice.roll(most));
            (0..=last).map(|number| format!("{tag}.{word}-{number}")).collect()
        };
        let owners = names(&mut dice, "owner", 3);
        let kinds = names(&mut dice, "kind", 4);
        let time = |text: &str| Timestamp::parse(text).expect("a time");
        let edges = (0..=dice.roll(3)).map(|_| time(dice.pick::<&str>(&EDGES))).collect();
        let shards = *dice.pick(&INDEX_SHARDS);
        let spread_ms = *dice.pick(&SPREADS_MS);
        let (heads, writes) = (Heads::new(), Vec::new());
        Self { dice, tag, owners, kinds, shards, heads, writes, edges, spread_ms }
    }

    /// From now on, all new jobs belong to one owner and to a few minutes.
    pub(crate) fn crowd(&mut self) {
        self.owners.truncate(1);
        self.kinds.truncate(2);
        self.spread_ms = *self.dice.pick(&CROWDS_MS);
        if self.dice.is_one_in(2) {
            self.shards = 1;
        }
    }

    /// One event, with one write or several. Returns the jobs that it wrote.
    pub(crate) fn step(&mut self, most_jobs: usize) -> Vec<JobId> {
        let from = self.writes.len();
        let is_full = self.heads.len() >= most_jobs;
        if self.heads.is_empty() || (!is_full && self.dice.is_one_in(3)) {
            self.create();
        } else {
            let ids: Vec<JobId> = self.heads.keys().copied().collect();
            let id = *self.dice.pick(&ids);
            let old = self.heads[&id].clone();
            match self.dice.roll(16) {
                0 => self.upsert(&old),
                1 | 2 => self.change(&old),
                3 => {
                    let mut new = self.touched(&old);
                    new.job.priority = self.priority();
                    self.put(new);
                }
                4 => {
                    let new = self.touched(&old);
                    self.put(new);
                }
                5 if self.dice.is_one_in(3) || is_full => self.remove(&old),
                _ => self.transit(&old),
            }
        }
        self.touched_since(from)
    }

    /// Creates a job. Returns the jobs that it wrote.
    pub(crate) fn fill(&mut self) -> Vec<JobId> {
        let from = self.writes.len();
        self.create();
        self.touched_since(from)
    }

    fn touched_since(&self, from: usize) -> Vec<JobId> {
        let head = |write: &Write| write.new.as_ref().or(write.old.as_ref()).map(|head| head.job.id);
        self.writes[from..].iter().filter_map(head).collect()
    }

    /// Creates a job: queued, or in any status as another system reports it.
    fn create(&mut self) {
        let owner = self.dice.pick(&self.owners).clone();
        let kind = self.dice.pick(&self.kinds).clone();
        let number = u128::from(self.dice.roll(u64::MAX)) << 64 | u128::from(self.dice.roll(u64::MAX));
        let created_at = self.time();
        let mut head = queued(number, &owner, &kind, created_at);
        if self.dice.is_one_in(2) {
            let external_id = format!("ext {}", self.dice.roll(EXTERNAL_IDS));
            let external_id = ExternalId::try_from(external_id).expect("an id");
            let id = JobId::of_external_id(&Owner::try_from(owner).expect("an owner"), &external_id);
            if let Some(old) = self.heads.get(&id) {
                let old = old.clone();
                return self.upsert(&old);
            }
            head.job.id = id;
            head.job.external_id = Some(external_id);
        }
        head.shard = head.job.id.shard(self.shards);
        head.job.priority = self.priority();
        if self.dice.is_one_in(4) {
            let status = *self.dice.pick(&Status::ALL);
            head.job.state = state(&head, status, &mut self.dice);
        }
        self.dress(&mut head);
        self.put(head);
    }

    /// Another system reports the job again: with another time of creation, another type, or another status.
    fn upsert(&mut self, old: &Head) {
        let mut new = self.touched(old);
        if self.dice.is_one_in(2) {
            new.job.created_at = self.time();
        }
        if self.dice.is_one_in(2) {
            new.job.kind = TypeName::try_from(self.dice.pick(&self.kinds).as_str()).expect("a type");
        }
        let status = *self.dice.pick(&Status::ALL);
        if self.dice.is_one_in(2) && old.job.status().reaches(status) {
            new.job.state = state(&new, status, &mut self.dice);
        }
        self.dress(&mut new);
        self.put(new);
    }

    /// The job's name, cost or labels change.
    fn change(&mut self, old: &Head) {
        let mut new = self.touched(old);
        self.dress(&mut new);
        self.put(new);
    }

    /// One step of the status table.
    fn transit(&mut self, old: &Head) {
        let steps = old.job.status().steps();
        if steps.is_empty() {
            return if self.dice.is_one_in(4) { self.remove(old) } else { self.change(old) };
        }
        let status = *self.dice.pick(steps);
        let mut new = self.touched(old);
        new.job.state = state(old, status, &mut self.dice);
        ends_try(&mut new, old);
        if status == Status::Running {
            new.job.attempt += 1;
        }
        if self.dice.is_one_in(3) {
            new.job.bytes = self.dice.roll(100_000);
        }
        self.put(new);
    }

    /// A caller deletes the job, which cancels it first if it is alive; or it has expired.
    fn remove(&mut self, old: &Head) {
        let mut last = old.clone();
        if !old.job.status().is_ended() {
            last.job.state = state(old, Status::Cancelled, &mut self.dice);
            self.put(last.clone());
        }
        self.heads.remove(&last.job.id);
        self.writes.push(Write { old: Some(last), new: None });
    }

    /// Notes a write of a function.
    pub(crate) fn note(&mut self, old: Option<Head>, new: Option<Head>) {
        if let Some(old) = &old {
            self.heads.remove(&old.job.id);
        }
        self.heads.extend(new.iter().map(|new| (new.job.id, new.clone())));
        self.writes.push(Write { old, new });
    }

    fn put(&mut self, new: Head) {
        let old = self.heads.get(&new.job.id).cloned();
        self.note(old, Some(new));
    }

    fn touched(&mut self, old: &Head) -> Head {
        let mut new = old.clone();
        new.job.updated_at = old.job.updated_at.plus_millis(1 + self.dice.millis(100));
        new
    }

    fn priority(&mut self) -> u8 {
        u8::try_from(self.dice.roll(PRIORITIES)).unwrap_or(0)
    }

    /// Sets or removes a name, labels and a cost.
    fn dress(&mut self, head: &mut Head) {
        let dice = &mut self.dice;
        let name = if dice.is_one_in(RARE) { "a needle" } else { *dice.pick(&NAMES) };
        head.job.name = (!dice.is_one_in(3)).then(|| JobName::try_from(name).expect("a name"));
        let mut labels = BTreeMap::new();
        for (label, values) in [("team", TEAMS), ("model", MODELS), ("provider", TEAMS)] {
            if dice.is_one_in(2) {
                labels.insert(label.to_owned(), (*dice.pick(&values)).to_owned());
            }
        }
        head.job.labels = Labels::try_from(labels).expect("labels");
        let micros = dice.roll(COSTS);
        head.job.cost = dice.is_one_in(2).then(|| MicroDollars::try_from(micros).expect("a cost"));
        head.job.bytes = dice.roll(2_000).saturating_sub(1_000);
    }

    /// A time near an edge, often the same as another job's.
    fn time(&mut self) -> Timestamp {
        if self.dice.is_one_in(4) && !self.heads.is_empty() {
            let times: Vec<Timestamp> = self.heads.values().map(|head| head.job.created_at).collect();
            return *self.dice.pick(&times);
        }
        let spread = if self.dice.is_one_in(5) { *self.dice.pick(&SPREADS_MS) } else { self.spread_ms };
        let away = self.dice.millis(2 * spread + 1) - i64::try_from(spread).unwrap_or(0);
        let edge = *self.dice.pick(&self.edges);
        if self.dice.is_one_in(4) { edge } else { edge.plus_millis(away) }
    }
}
