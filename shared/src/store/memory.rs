//! The memory of an execution environment; it keeps each value for a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::Timestamp;

/// Most values remembered: strangers who ask for many must not fill the memory.
const MAX_REMEMBERED: usize = 1_000;

/// Values by key, each for the time from when it was read until its end. Before that is no time of its own either: a clock
/// that goes back lengthens nothing.
#[derive(Debug)]
pub struct Memory<K, V> {
    seen: Mutex<HashMap<K, (V, Range<Timestamp>)>>,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self { seen: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Clone> Memory<K, V> {
    /// The value that is remembered.
    pub fn recall(&self, key: &K, now: Timestamp) -> Option<V> {
        self.lock().get(key).filter(|(_, time)| time.contains(&now)).map(|(value, _)| value.clone())
    }

    /// Remembers it for so many milliseconds.
    pub fn remember(&self, key: K, value: V, now: Timestamp, millis: i64) {
        let mut seen = self.lock();
        if seen.len() >= MAX_REMEMBERED {
            seen.retain(|_, (_, time)| time.contains(&now));
        }
        if seen.len() >= MAX_REMEMBERED {
            seen.clear();
        }
        seen.insert(key, (value, now..now.plus_millis(millis)));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (V, Range<Timestamp>)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_ends_and_is_bounded() {
        let memory = Memory::default();
        let at = Timestamp::from_millis;
        memory.remember(0, 'a', at(5), 10);
        let recalled = [4, 5, 14, 15].map(|millis| memory.recall(&0, at(millis)));
        assert_eq!(recalled, [None, Some('a'), Some('a'), None], "a clock that went back starts anew");
        for key in 0..10 * MAX_REMEMBERED {
            memory.remember(key, 'b', at(0), 10);
            assert!(memory.lock().len() <= MAX_REMEMBERED);
            assert_eq!(memory.recall(&key, at(0)), Some('b'));
        }
    }
}
