//! The memory of an execution environment from its claims, for the next ones: nothing that has to be right.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::waiting::Candidate;
use crate::domain::{JobId, Owner, Timestamp, TypeName};
use crate::store::Memory;
use crate::store::plans::queue::Queue;

/// Most queues that are remembered as long.
const MAX_LONG: usize = 1_000;

/// Queues that filled a window when they were last looked at.
#[derive(Debug, Default)]
pub(super) struct LongQueues {
    queues: Mutex<HashSet<(Owner, TypeName, u16)>>,
}

impl LongQueues {
    pub(super) fn has(&self, queue: Queue<'_>) -> bool {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.contains(&(queue.owner.clone(), queue.kind.clone(), queue.shard))
    }

    pub(super) fn set(&self, queue: Queue<'_>, is_long: bool) {
        let key = (queue.owner.clone(), queue.kind.clone(), queue.shard);
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if is_long {
            // Forgetting costs each a round trip once.
            if queues.len() >= MAX_LONG {
                queues.clear();
            }
            queues.insert(key);
        } else {
            queues.remove(&key);
        }
    }
}

/// Most queues that are remembered as crowded.
const MAX_CROWDED: usize = 1_000;
/// Over how many jobs a first lost race spreads the next tries.
const FIRST_SPREAD: usize = 8;
/// Over how many they are spread at most.
const MAX_SPREAD: usize = 200;
/// The part of the spread that is given up after races that were won: far less than a lost one adds, so that few are
/// lost.
const EASE: usize = 8;

/// How many claims there are about, as far as lost races tell: a claim then begins anywhere among so many of the first
/// jobs, as all others begin there, too. If nobody competes, jobs go in order.
#[derive(Debug, Default)]
pub(super) struct Contention {
    spreads: Mutex<Spreads>,
}

type Spreads = HashMap<(Owner, BTreeSet<TypeName>), usize>;

impl Contention {
    /// Over how many jobs to spread the tries for these queues; 0: the first is the next.
    pub(super) fn spread(&self, (owner, kinds): (&Owner, &BTreeSet<TypeName>)) -> usize {
        self.lock().get(&(owner.clone(), kinds.clone())).copied().unwrap_or(0)
    }

    /// So many tries, of which so many were lost. Answers the spread of the next ones.
    pub(super) fn tried(
        &self,
        (owner, kinds): (&Owner, &BTreeSet<TypeName>),
        tried: usize,
        lost: usize,
    ) -> usize {
        let mut spreads = self.lock();
        let key = (owner.clone(), kinds.clone());
        let spread = next_spread(spreads.get(&key).copied().unwrap_or(0), tried, lost);
        if spread == 0 {
            spreads.remove(&key);
        } else {
            if spreads.len() >= MAX_CROWDED {
                spreads.clear();
            }
            spreads.insert(key, spread);
        }
        spread
    }

    fn lock(&self) -> MutexGuard<'_, Spreads> {
        self.spreads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Doubled where one race in four or more was lost, else a little less.
fn next_spread(spread: usize, tried: usize, lost: usize) -> usize {
    if lost > 0 && lost * 4 >= tried {
        (spread * 2).clamp(FIRST_SPREAD, MAX_SPREAD)
    } else {
        spread.saturating_sub(spread / EASE + 1)
    }
}

/// Shortest pause between two looks of a claim that waits.
const FIRST_PAUSE_MS: u64 = 100;
/// Longest pause: in 20 seconds, a claim for which nothing comes looks 24 times.
const LONGEST_PAUSE_MS: u64 = 900;
/// The part of the time since something came that a claim pauses.
const QUIET_PART: u64 = 8;
/// How long it matters that something came, in milliseconds: by then, pauses are at their longest.
const CAME_MS: i64 = 7_200;

/// When something last came for claims that wait: soon after that they look more often.
#[derive(Debug, Default)]
pub(super) struct Recent {
    came: Memory<(Owner, BTreeSet<TypeName>), Timestamp>,
}

impl Recent {
    /// A job came for claims of these types.
    pub(super) fn came(&self, (owner, kinds): (&Owner, &BTreeSet<TypeName>), now: Timestamp) {
        self.came.remember((owner.clone(), kinds.clone()), now, now, CAME_MS);
    }

    /// How long a claim of these types pauses before it looks again.
    pub(super) fn pause_ms(&self, (owner, kinds): (&Owner, &BTreeSet<TypeName>), now: Timestamp) -> u64 {
        let came = self.came.recall(&(owner.clone(), kinds.clone()), now);
        pause_ms(came.map(|came| now.since(came)))
    }
}

/// The pause so long after something came; `None`: nothing did for long.
fn pause_ms(quiet_ms: Option<u64>) -> u64 {
    quiet_ms
        .map_or(LONGEST_PAUSE_MS, |quiet_ms| (quiet_ms / QUIET_PART).clamp(FIRST_PAUSE_MS, LONGEST_PAUSE_MS))
}

/// How long a try is remembered as taken, in milliseconds: about as long as an index may lag.
const TAKEN_MS: i64 = 2_000;

/// Tries that were taken a moment ago: the index may still show them as waiting.
#[derive(Debug, Default)]
pub(super) struct Taken {
    tries: Memory<(JobId, u32), ()>,
}

impl Taken {
    /// Remembers that the job's next try is somebody's.
    pub(super) fn remember(&self, candidate: &Candidate, now: Timestamp) {
        self.tries.remember((candidate.id, candidate.attempt), (), now, TAKEN_MS);
    }

    /// Leaves out those that were taken a moment ago.
    pub(super) fn without(&self, mut candidates: Vec<Candidate>, now: Timestamp) -> Vec<Candidate> {
        let is_taken = |candidate: &Candidate| self.tries.recall(&(candidate.id, candidate.attempt), now);
        candidates.retain(|candidate| is_taken(candidate).is_none());
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_time_since_something_came() {
        let pauses = [Some(0), Some(800), Some(4_000), Some(7_200), Some(60_000), None].map(pause_ms);
        assert_eq!(pauses, [100, 100, 500, 900, 900, 900]);
        let after = std::iter::successors(Some(0), |quiet_ms| Some(quiet_ms + pause_ms(Some(*quiet_ms))));
        assert_eq!(after.take_while(|quiet_ms| *quiet_ms < 7_200).count(), 27, "looks in these seconds");
        assert_eq!(u64::try_from(CAME_MS), Ok(LONGEST_PAUSE_MS * QUIET_PART));
    }

    #[test]
    fn a_spread_grows_with_lost_races_and_passes_with_won_ones() {
        assert_eq!(next_spread(0, 1, 0), 0);
        assert_eq!(next_spread(0, 1, 1), FIRST_SPREAD);
        assert_eq!(next_spread(40, 10, 2), 34);
        assert_eq!(next_spread(40, 10, 3), 80);
        assert_eq!(next_spread(150, 1, 1), MAX_SPREAD);
        let eased = std::iter::successors(Some(MAX_SPREAD), |spread| Some(next_spread(*spread, 1, 0)));
        assert!(eased.take_while(|spread| *spread > 0).count() < 40);
    }
}
