//! Since when the job waits that has been due for longest: the queue is sorted by priority first, so each priority that
//! has jobs is looked at once, and those that became due since they were queued once.

use crate::domain::{MAX_PRIORITY, Timestamp};
use crate::store::item::LATER;
use crate::store::plans::queue::Queue;
use crate::store::schema::QUEUE;
use crate::store::{AttributeMap, Corrupt, Source, StoreError};

/// Most places of a queue: its priorities, and the jobs that became due.
const MAX_PLACES: i64 = MAX_PRIORITY + 2;

/// Finds it in one part of a queue; `None`: no job waits there that is due.
pub(super) async fn oldest_due(
    source: Source<'_>,
    queue: Queue<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let (mut oldest, mut lower) = (None, "0".to_owned());
    for _ in 0..MAX_PLACES {
        let page = source.store.query(queue.first_from(source.tables, &lower, now)).await?;
        let Some(row) = page.items.unwrap_or_default().into_iter().next() else { break };
        let place = Place::of_row(&row)?;
        oldest = oldest.into_iter().chain([place.due]).min();
        match place.after {
            Some(after) => lower = after,
            None => break,
        }
    }
    Ok(oldest)
}

/// The place of the first job of a priority, or of the first of those that became due.
struct Place {
    due: Timestamp,
    /// The least sort key of the next lower priority; `None`: nothing comes after this.
    after: Option<String>,
}

impl Place {
    fn of_row(row: &AttributeMap) -> Result<Self, Corrupt> {
        let key = row.get(QUEUE).and_then(|key| key.as_s().ok()).map_or("", String::as_str);
        let place = Self::of_key(key);
        place.ok_or_else(|| Corrupt::new(key, "is not the place of a job in a queue"))
    }

    fn of_key(key: &str) -> Option<Self> {
        let due = |rest: &str| Timestamp::parse(rest.split_once('#')?.0).ok();
        if let Some(rest) = key.strip_prefix(LATER) {
            return Some(Self { due: due(rest)?, after: None });
        }
        let (priority, rest) = key.split_once('#')?;
        // '$' follows '#'.
        Some(Self { due: due(rest)?, after: Some(format!("{priority}$")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_key_tells_since_when_and_what_comes_next() {
        let at = "2026-01-11T05:00:00.000Z";
        let place = |key: String| {
            let Place { due, after } = Place::of_key(&key).unwrap();
            (due.to_string(), after)
        };
        assert_eq!(place(format!("03#{at}#id")), (at.to_owned(), Some("03$".to_owned())));
        assert_eq!(place(format!("later#{at}#id")), (at.to_owned(), None));
        for bad in ["", "03", "03#", "03#x#id", "later#", "later#x"] {
            assert!(Place::of_key(bad).is_none(), "{bad}");
        }
    }
}
