//! Walks by cursor while jobs change. A job that stays in the list must be met once, and none twice.

use std::collections::{BTreeMap, BTreeSet};

use jobledger::domain::{JobId, Timestamp};

use crate::lists::{ids, page};
use crate::model::Asked;
use crate::run::Run;

/// Most jobs of such a run.
const MOST_JOBS: usize = 24;
/// Events before the walk begins.
const STEPS_BEFORE: usize = 40;
/// Most rows of a page.
const MOST_ROWS: usize = 6;
/// Most events during one page.
const MOST_STEPS: usize = 5;
/// Most pages of one walk. Jobs that move before the cursor lengthen it, but not for ever.
const MAX_PAGES: usize = 200;

/// The changes of jobs since a walk began.
struct Watch {
    asked: Asked,
    /// The jobs that were in the list all the time, at the same place.
    throughout: BTreeMap<JobId, Timestamp>,
    /// The jobs that were in the list at any time.
    ever: BTreeSet<JobId>,
    /// The jobs whose time of creation changed.
    moved: BTreeSet<JobId>,
    places: BTreeMap<JobId, Timestamp>,
}

impl Watch {
    fn begin(asked: Asked, run: &Run<'_>) -> Self {
        let jobs = || run.history.heads.values().map(|head| &head.job);
        let throughout = jobs().filter(|job| asked.has(job)).map(|job| (job.id, job.created_at));
        let throughout: BTreeMap<JobId, Timestamp> = throughout.collect();
        let ever = throughout.keys().copied().collect();
        let places = jobs().map(|job| (job.id, job.created_at)).collect();
        Self { asked, throughout, ever, moved: BTreeSet::new(), places }
    }

    /// Notes the writes from this place on.
    fn look(&mut self, run: &Run<'_>, from: usize) {
        for write in &run.history.writes[from..] {
            let Some(head) = write.new.as_ref().or(write.old.as_ref()) else { continue };
            let job = &head.job;
            if write.new.is_some() && self.asked.has(job) {
                self.ever.insert(job.id);
            } else {
                self.throughout.remove(&job.id);
            }
            if self.places.insert(job.id, job.created_at).is_some_and(|place| place != job.created_at) {
                self.moved.insert(job.id);
                self.throughout.remove(&job.id);
            }
        }
    }

    fn end(&self, shown: &[String]) {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for id in shown {
            *times.entry(id).or_default() += 1;
        }
        let asked = &self.asked;
        for (id, times) in &times {
            let id = JobId::try_from(*id).expect("an id");
            assert!(self.ever.contains(&id), "{asked:?} never had {id}");
            assert!(*times == 1 || self.moved.contains(&id), "{asked:?} showed {id} {times} times");
        }
        for (id, place) in &self.throughout {
            assert!(times.contains_key(id.to_string().as_str()), "{asked:?} did not show {id} of {place}");
        }
    }
}

/// Walks through a list, from its first page to its last, while jobs change.
pub(crate) async fn under_change(run: &mut Run<'_>) {
    run.happen(STEPS_BEFORE, MOST_JOBS);
    run.sync();
    let mut asked = Asked::by_type_and_status(&mut run.history);
    if run.history.dice.is_one_in(3) {
        asked.filtered(&mut run.history);
    }
    let size = 1 + run.history.dice.below(MOST_ROWS);
    // If a job moves to another range of the list during a page, the page may miss it, or have it twice.
    let is_one_range = asked.kinds.len() <= 1 && asked.statuses.len() <= 1;
    let begin = format!("/v1/jobs?{}&limit={size}", asked.text());
    let mut watch = Watch::begin(asked, run);
    let (mut target, mut shown) = (begin.clone(), Vec::new());
    for _ in 0..MAX_PAGES {
        let from = run.history.writes.len();
        let steps = 1 + run.history.dice.below(MOST_STEPS);
        let functions = run.functions;
        let lister = functions.lister(run.history.shards);
        let reply = if is_one_range && run.history.dice.is_one_in(2) {
            let change = async {
                for _ in 0..steps {
                    run.happen(1, MOST_JOBS);
                    run.sync();
                    tokio::task::yield_now().await;
                }
            };
            tokio::join!(page(lister, &target), change).0
        } else {
            let reply = page(lister, &target).await;
            run.happen(steps, MOST_JOBS);
            run.sync();
            reply
        };
        watch.look(run, from);
        shown.extend(ids(&reply));
        assert!(ids(&reply).len() <= size, "{target}");
        if run.history.dice.is_one_in(4) {
            run.deliver().await;
        }
        let Some(cursor) = reply.json["next_cursor"].as_str() else { return watch.end(&shown) };
        target = format!("{begin}&cursor={cursor}");
    }
    panic!("{begin} does not end");
}
