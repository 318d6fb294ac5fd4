//! One run: a history, its stream, and the table that it is in.

use std::collections::BTreeSet;

use jobledger::domain::{Job, JobId};
use jobledger_tests::stream::{Counts, counts_of, recount};

use crate::delivery::Stream;
use crate::engine::FunctionSet;
use crate::history::History;
use crate::lists::{self, Family};
use crate::model::Asked;

/// Chance that a shard ends after a write: one in so many.
const SPLITS: u64 = 40;

/// A run under way.
pub(crate) struct Run<'a> {
    pub(crate) functions: &'a FunctionSet,
    pub(crate) history: History,
    stream: Stream,
    /// Jobs whose heads have changed since they were written to the table.
    unwritten: BTreeSet<JobId>,
}

impl<'a> Run<'a> {
    /// A run of which nothing has happened yet.
    pub(crate) fn new(functions: &'a FunctionSet, seed: u64) -> Self {
        let mut history = History::new(seed);
        let stream = Stream::new(&history.tag, &mut history.dice);
        Self { functions, history, stream, unwritten: BTreeSet::new() }
    }

    /// Things happen, so many, to so many jobs at most.
    pub(crate) fn happen(&mut self, steps: usize, most_jobs: usize) {
        for _ in 0..steps {
            let place = self.history.writes.len();
            let ids = self.history.step(most_jobs);
            self.take(place, &ids);
        }
    }

    /// Jobs come to be, until there are so many.
    pub(crate) fn fill(&mut self, jobs: usize) {
        while self.history.heads.len() < jobs {
            let place = self.history.writes.len();
            let ids = self.history.fill();
            self.take(place, &ids);
        }
    }

    /// The writes from this place on go into the stream.
    pub(crate) fn take(&mut self, place: usize, ids: &[JobId]) {
        for (place, id) in (place..).zip(ids) {
            self.stream.take(place, *id, &self.history.writes[place]);
            self.unwritten.insert(*id);
            if self.history.dice.is_one_in(SPLITS) {
                self.stream.split(&mut self.history.dice);
            }
        }
    }

    /// From now on, all deliveries go well.
    pub(crate) fn calm(&mut self) {
        self.stream.is_calm = true;
    }

    /// Writes what happened to the table.
    pub(crate) fn sync(&mut self) {
        let ids: Vec<JobId> = std::mem::take(&mut self.unwritten).into_iter().collect();
        self.functions.write(&ids, &self.history.heads);
    }

    /// The table holds all this already.
    pub(crate) fn is_written(&mut self) {
        self.unwritten.clear();
    }

    /// Delivers something.
    pub(crate) async fn deliver(&mut self) {
        self.stream.deliver(self.functions, &mut self.history.dice).await;
    }

    /// Delivers all that is left; then every bucket is what a recount finds.
    pub(crate) async fn settle(&mut self) {
        self.stream.drain(self.functions, &mut self.history.dice).await;
        self.expect_recount();
    }

    fn expect_recount(&self) {
        let History { owners, kinds, writes, .. } = &self.history;
        let mut items = Vec::new();
        for owner in owners {
            items.extend(self.functions.tallies(owner, ""));
        }
        for kind in kinds {
            items.extend(self.functions.tallies("*", &format!("total@{kind}")));
        }
        let (counted, expected): (Counts, Counts) = (counts_of(&items), recount(writes));
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

    /// A page of some list, while some of it is not counted.
    pub(crate) async fn glance(&mut self) {
        let asked = Asked::random(&mut self.history);
        let jobs = self.jobs();
        let lister = self.functions.lister(self.history.shards);
        lists::glance(lister, &asked, &asked.rows(jobs.iter()), &mut self.history.dice).await;
    }

    /// Some list, walked by one family of pages or another.
    pub(crate) async fn list(&mut self) {
        let asked = Asked::random(&mut self.history);
        let family = *self.history.dice.pick(&Family::ALL);
        self.walk(&asked, family).await;
        self.peek(&asked).await;
        let jobs = self.jobs();
        lists::count(self.functions, self.history.shards, &asked, &asked.rows(jobs.iter())).await;
    }

    /// The numbers of some lists within dates.
    pub(crate) async fn count(&mut self, lists: usize) {
        let jobs = self.jobs();
        for _ in 0..lists {
            let asked = Asked::dated(&mut self.history);
            lists::count(self.functions, self.history.shards, &asked, &asked.rows(jobs.iter())).await;
        }
    }

    /// All jobs of each owner, by every family.
    pub(crate) async fn list_all(&mut self) {
        for owner in self.history.owners.clone() {
            let asked = Asked::all(&owner);
            for family in Family::ALL {
                self.walk(&asked, family).await;
            }
        }
    }

    /// This list, walked by one family of pages.
    pub(crate) async fn walk(&mut self, asked: &Asked, family: Family) {
        let jobs = self.jobs();
        let lister = self.functions.lister(self.history.shards);
        lists::walk(lister, asked, &asked.rows(jobs.iter()), family, &mut self.history.dice).await;
    }

    /// A place in this list.
    pub(crate) async fn peek(&mut self, asked: &Asked) {
        let jobs = self.jobs();
        let lister = self.functions.lister(self.history.shards);
        lists::peek(lister, asked, &asked.rows(jobs.iter()), &mut self.history.dice).await;
    }
}
