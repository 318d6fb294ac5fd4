//! One run: its history, its stream, and its table.

use std::collections::BTreeSet;

use jobledger::domain::{Job, JobId, Owner};
use jobledger::queue;
use jobledger_tests::stream::{BEGIN, Counts, counts_of, recount};

use crate::delivery::Stream;
use crate::engine::FunctionSet;
use crate::history::History;
use crate::lists::{self, Family};
use crate::model::Asked;

/// The chance that a shard ends after a write: one in this many.
const SPLITS: u64 = 40;
/// In one run of this many, the reaper also looks at the types of all owners together, which are those of all runs.
const ALL_OWNERS_RUNS: u64 = 12;

/// The reaper's looks at types without jobs, twice: so types leave that had jobs before. All of it goes on beside
/// deliveries, and the table of jobs may not say yet which jobs there are.
async fn give_back(functions: &FunctionSet, shards: u16, owners: &[String], looks: &mut Looks) {
    let ledger = functions.ledger(shards);
    for _ in 0..2 {
        looks.at_ms += 11 * 60_000;
        let now = BEGIN.plus_millis(looks.at_ms);
        for owner in owners {
            let owner = Owner::try_from(owner.as_str()).expect("an owner");
            queue::give_back(ledger, Some(&owner), now).await.expect("a look");
        }
        if looks.are_at_all_owners {
            queue::give_back(ledger, None, now).await.expect("a look");
        }
    }
}

/// The reaper's looks at types without jobs.
struct Looks {
    /// The time of the last one, in milliseconds since the beginning. No two runs have the same.
    at_ms: i64,
    are_at_all_owners: bool,
}

/// A run in progress.
pub(crate) struct Run<'a> {
    pub(crate) functions: &'a FunctionSet,
    pub(crate) history: History,
    stream: Stream,
    /// Jobs whose heads have changed since they were written to the table.
    unwritten: BTreeSet<JobId>,
    looks: Looks,
}

impl<'a> Run<'a> {
    /// A run without events.
    pub(crate) fn new(functions: &'a FunctionSet, seed: u64) -> Self {
        let mut history = History::new(seed);
        let stream = Stream::new(&history.tag, &mut history.dice);
        let are_at_all_owners = seed.is_multiple_of(ALL_OWNERS_RUNS);
        let looks = Looks { at_ms: i64::try_from(seed % 60_000).unwrap_or(0), are_at_all_owners };
        Self { functions, history, stream, unwritten: BTreeSet::new(), looks }
    }

    /// Makes this many events, with at most this many jobs.
    pub(crate) fn happen(&mut self, steps: usize, most_jobs: usize) {
        for _ in 0..steps {
            let place = self.history.writes.len();
            let ids = self.history.step(most_jobs);
            self.take(place, &ids);
        }
    }

    /// Creates jobs until there are this many.
    pub(crate) fn fill(&mut self, jobs: usize) {
        while self.history.heads.len() < jobs {
            let place = self.history.writes.len();
            let ids = self.history.fill();
            self.take(place, &ids);
        }
    }

    /// Adds the writes from this place on to the stream.
    pub(crate) fn take(&mut self, place: usize, ids: &[JobId]) {
        for (place, id) in (place..).zip(ids) {
            self.stream.take(place, *id, &self.history.writes[place]);
            self.unwritten.insert(*id);
            if self.history.dice.is_one_in(SPLITS) {
                self.stream.split(&mut self.history.dice);
            }
        }
    }

    /// From now on, deliveries have no faults.
    pub(crate) fn calm(&mut self) {
        self.stream.is_calm = true;
    }

    /// Writes the changed heads to the table.
    pub(crate) fn sync(&mut self) {
        let ids: Vec<JobId> = std::mem::take(&mut self.unwritten).into_iter().collect();
        self.functions.write(&ids, &self.history.heads);
    }

    /// Notes that the table has all changes already.
    pub(crate) fn is_written(&mut self) {
        self.unwritten.clear();
    }

    /// Delivers some records.
    pub(crate) async fn deliver(&mut self) {
        let (functions, owners) = (self.functions, self.history.owners.clone());
        let given = give_back(functions, self.history.shards, &owners, &mut self.looks);
        tokio::join!(self.stream.deliver(functions, &mut self.history.dice), given);
    }

    /// Delivers all records that are left. Then every bucket must equal a recount.
    pub(crate) async fn settle(&mut self) {
        let (functions, owners) = (self.functions, self.history.owners.clone());
        let given = give_back(functions, self.history.shards, &owners, &mut self.looks);
        tokio::join!(self.stream.drain(functions, &mut self.history.dice), given);
        self.expect_recount();
        give_back(functions, self.history.shards, &owners, &mut self.looks).await;
        self.expect_recount();
    }

    fn expect_recount(&self) {
        let History { owners, kinds, writes, .. } = &self.history;
        let mut items = Vec::new();
        for owner in owners {
            items.extend(self.functions.tallies(owner, ""));
        }
        for kind in kinds {
            // Another run may move the numbers meanwhile: it looks at the types of all owners, too.
            let past = || self.functions.tallies("*", &format!("was@{kind}"));
            let mut before = past();
            loop {
                let total = self.functions.tallies("*", &format!("total@{kind}"));
                let after = past();
                if before == after {
                    items.extend(total.into_iter().chain(after));
                    break;
                }
                before = after;
            }
        }
        // The numbers of a type are those of its total and of its past.
        let mut counted = Counts::new();
        for ((scope, bucket), cells) in counts_of(&items) {
            let bucket =
                bucket.strip_prefix("was@").map_or_else(|| bucket.clone(), |kind| format!("total@{kind}"));
            let sums = counted.entry((scope, bucket)).or_default();
            for (cell, value) in cells {
                *sums.entry(cell).or_default() += value;
            }
        }
        let expected: Counts = recount(writes);
        let all = expected.keys().chain(counted.keys());
        let wrong = all.filter(|item| expected.get(*item) != counted.get(*item));
        let wrong: Vec<String> = wrong
            .map(|item| format!("{item:?}: {:?}, not {:?}", counted.get(item), expected.get(item)))
            .collect();
        assert!(wrong.is_empty(), "after {} writes:\n{}", writes.len(), wrong.join("\n"));
    }

    fn jobs(&self) -> Vec<Job> {
        self.history.heads.values().map(|head| head.job.clone()).collect()
    }

    /// Reads a page of a random list, before all is counted.
    pub(crate) async fn glance(&mut self) {
        let asked = Asked::random(&mut self.history);
        let jobs = self.jobs();
        let lister = self.functions.lister(self.history.shards);
        lists::glance(lister, &asked, &asked.rows(jobs.iter()), &mut self.history.dice).await;
    }

    /// Walks a random list with a random kind of page.
    pub(crate) async fn list(&mut self) {
        let asked = Asked::random(&mut self.history);
        let family = *self.history.dice.pick(&Family::ALL);
        self.walk(&asked, family).await;
        self.peek(&asked).await;
        let jobs = self.jobs();
        lists::count(self.functions, self.history.shards, &asked, &asked.rows(jobs.iter())).await;
    }

    /// Compares the numbers of some lists within dates.
    pub(crate) async fn count(&mut self, lists: usize) {
        let jobs = self.jobs();
        for _ in 0..lists {
            let asked = Asked::dated(&mut self.history);
            lists::count(self.functions, self.history.shards, &asked, &asked.rows(jobs.iter())).await;
        }
    }

    /// Lists all jobs of each owner with every kind of page.
    pub(crate) async fn list_all(&mut self) {
        for owner in self.history.owners.clone() {
            let asked = Asked::all(&owner);
            for family in Family::ALL {
                self.walk(&asked, family).await;
            }
        }
    }

    /// Walks this list with one kind of page.
    pub(crate) async fn walk(&mut self, asked: &Asked, family: Family) {
        let jobs = self.jobs();
        let lister = self.functions.lister(self.history.shards);
        lists::walk(lister, asked, &asked.rows(jobs.iter()), family, &mut self.history.dice).await;
    }

    /// Reads a place in this list.
    pub(crate) async fn peek(&mut self, asked: &Asked) {
        let jobs = self.jobs();
        let lister = self.functions.lister(self.history.shards);
        lists::peek(lister, asked, &asked.rows(jobs.iter()), &mut self.history.dice).await;
    }
}
