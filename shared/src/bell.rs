//! Wakes claims that wait: code that queues a job in the same process rings, and one of them looks at once.
//!
//! On one machine, all functions share a bell. On AWS each function has its own execution environments, so nobody rings
//! there, and claims look at their own pace. A ring is a hint: if it is lost, the next look finds the job.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::{Owner, TypeName};

/// The claims that wait in this process. Clones are the same bell.
#[derive(Clone, Debug, Default)]
pub struct Bell {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    claims: BTreeMap<u64, Claim>,
    /// The numbers of the claims for each type.
    by_type: HashMap<(Owner, TypeName), BTreeSet<u64>>,
}

/// A claim that waits.
#[derive(Debug, Default)]
struct Claim {
    wake: Arc<Notify>,
    /// The types that somebody rang for, and for which the claim has not looked since.
    rung: BTreeSet<TypeName>,
}

impl Bell {
    /// Wakes one claim that waits for a job of this type: the one that has waited longest and is not awake yet.
    pub fn ring(&self, owner: &Owner, kind: &TypeName) {
        self.lock().ring(owner, kind);
    }

    /// Wakes all claims that wait for jobs of this type.
    pub fn ring_all(&self, owner: &Owner, kind: &TypeName) {
        let mut waiting = self.lock();
        let numbers = waiting.by_type.get(&(owner.clone(), kind.clone())).cloned().unwrap_or_default();
        for number in numbers {
            waiting.wake(number, kind);
        }
    }

    /// From now on, one more claim waits for jobs of these types.
    pub fn listen(&self, owner: &Owner, kinds: &BTreeSet<TypeName>) -> Listener {
        let mut waiting = self.lock();
        waiting.next += 1;
        let (number, wake) = (waiting.next, Arc::new(Notify::new()));
        let claim = Claim { wake: Arc::clone(&wake), rung: BTreeSet::new() };
        waiting.claims.insert(number, claim);
        for kind in kinds {
            waiting.by_type.entry((owner.clone(), kind.clone())).or_default().insert(number);
        }
        Listener { bell: self.clone(), owner: owner.clone(), kinds: kinds.clone(), number, wake }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn ring(&mut self, owner: &Owner, kind: &TypeName) {
        let Some(numbers) = self.by_type.get(&(owner.clone(), kind.clone())) else { return };
        let is_asleep = |number: &&u64| self.claims.get(number).is_some_and(|claim| claim.rung.is_empty());
        if let Some(number) = numbers.iter().find(is_asleep).or(numbers.first()).copied() {
            self.wake(number, kind);
        }
    }

    fn wake(&mut self, number: u64, kind: &TypeName) {
        if let Some(claim) = self.claims.get_mut(&number) {
            claim.rung.insert(kind.clone());
            claim.wake.notify_one();
        }
    }
}

/// A claim that waits, until it is dropped.
#[derive(Debug)]
pub struct Listener {
    bell: Bell,
    owner: Owner,
    kinds: BTreeSet<TypeName>,
    number: u64,
    wake: Arc<Notify>,
}

impl Listener {
    /// Waits until somebody rings. A ring since the last one that was heard is heard at once.
    pub async fn rung(&self) {
        self.wake.notified().await;
        if let Some(claim) = self.bell.lock().claims.get_mut(&self.number) {
            claim.rung.clear();
        }
    }
}

impl Drop for Listener {
    /// If somebody rang and this claim did not look again, the ring goes to the next claim.
    fn drop(&mut self) {
        let mut waiting = self.bell.lock();
        for kind in &self.kinds {
            let key = (self.owner.clone(), kind.clone());
            if let Some(numbers) = waiting.by_type.get_mut(&key) {
                numbers.remove(&self.number);
                if numbers.is_empty() {
                    waiting.by_type.remove(&key);
                }
            }
        }
        let claim = waiting.claims.remove(&self.number).unwrap_or_default();
        for kind in &claim.rung {
            waiting.ring(&self.owner, kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn owner() -> Owner {
        Owner::try_from("a").unwrap()
    }

    fn kind(name: &str) -> TypeName {
        TypeName::try_from(name).unwrap()
    }

    fn listen(bell: &Bell, kinds: &[&str]) -> Listener {
        bell.listen(&owner(), &kinds.iter().map(|name| kind(name)).collect())
    }

    /// Whether it hears a ring now.
    fn hears(listener: &Listener) -> bool {
        listener.rung().now_or_never().is_some()
    }

    #[test]
    fn each_ring_wakes_one_claim_of_its_type() {
        let bell = Bell::default();
        let (first, second, other) =
            (listen(&bell, &["x", "y"]), listen(&bell, &["x"]), listen(&bell, &["z"]));
        assert!(!hears(&first), "nobody rang");
        bell.ring(&owner(), &kind("x"));
        bell.ring(&owner(), &kind("x"));
        assert_eq!([hears(&first), hears(&second), hears(&other)], [true, true, false]);
        assert_eq!([hears(&first), hears(&second)], [false, false], "each is heard once");
        bell.ring(&Owner::try_from("b").unwrap(), &kind("x"));
        bell.ring(&owner(), &kind("y"));
        assert_eq!([hears(&first), hears(&second)], [true, false]);
        bell.ring_all(&owner(), &kind("x"));
        assert_eq!([hears(&first), hears(&second), hears(&other)], [true, true, false]);
    }

    #[test]
    fn a_ring_that_nobody_looked_for_goes_to_the_next_claim() {
        let bell = Bell::default();
        let (first, second) = (listen(&bell, &["x"]), listen(&bell, &["x"]));
        bell.ring(&owner(), &kind("x"));
        drop(first);
        assert!(hears(&second));
        drop(second);
        let waiting = bell.lock();
        assert!(waiting.claims.is_empty() && waiting.by_type.is_empty(), "nothing is left");
    }
}
