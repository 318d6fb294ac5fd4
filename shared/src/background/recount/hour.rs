//! An hour's items beside its jobs: the errors, and the right values. Pure.
//!
//! The number of living jobs follows from the jobs. The numbers of those that came, went and ended follow from nothing
//! that is stored any more. But they are counted twice: once for all jobs, and once for those of each type. The jobs
//! that came, less those that went, are the living ones. So the recount can check that much. If one item is lost, the
//! recount derives its values from the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::counts::{Bucket, Cell, Granularity, Group, REVISION, Tally};
use crate::domain::{Fingerprint, Status, Timestamp, TypeName};
use crate::store::AttributeMap;

/// An hour of an owner: its items, and what its rows say.
#[derive(Clone, Debug, Default)]
pub(super) struct HourView {
    pub(super) items: Items,
    /// The living jobs of it: of all jobs, and of those of each type.
    rows: BTreeMap<Group, Tally>,
}

/// The items of an hour: two for all jobs, and two for each type.
pub(super) type Items = BTreeMap<(Group, Of), AttributeMap>;

/// The times that an item of an hour tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// The hour as a whole.
    Hour,
    /// Its minutes.
    Minutes,
}

impl Of {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Hour, Self::Minutes];

    /// The bucket of the hour that begins then.
    pub(super) fn bucket(self, hour: Timestamp) -> Bucket {
        match self {
            Self::Hour => Bucket::of(Granularity::Hour, hour),
            Self::Minutes => Granularity::Minute.container_of(hour),
        }
    }

    /// Whether it has such a cell that follows from the rows.
    const fn tells(self, cell: Cell) -> bool {
        match self {
            Self::Hour => matches!(cell, Cell::Alive(_)),
            Self::Minutes => matches!(cell, Cell::AliveIn(..)),
        }
    }

    /// The part of these numbers that it has.
    fn part(self, rows: Option<&Tally>) -> Tally {
        let mut part = Tally::default();
        for (cell, value) in rows.into_iter().flat_map(Tally::cells).filter(|(cell, _)| self.tells(*cell)) {
            part.set(cell, value);
        }
        part
    }
}

/// How often an item was written, as it says itself; `None`: there is no item, or not one of ours.
pub(super) fn revision(item: Option<&AttributeMap>) -> Option<i64> {
    item?.get(REVISION)?.as_n().ok()?.parse().ok()
}

/// Whether a cell sums up what happened: then all jobs' is the sum of the types'.
pub(super) const fn is_history(cell: Cell) -> bool {
    matches!(
        cell,
        Cell::Created | Cell::Removed | Cell::Ended(_) | Cell::Count(_) | Cell::SumMs(_) | Cell::Within(..)
    )
}

/// How many jobs are alive by all their statuses.
fn alive(tally: &Tally) -> i64 {
    Status::ALL.into_iter().map(|status| tally.get(Cell::Alive(status))).sum()
}

/// In how many of the cells that matter the two differ.
pub(super) fn differences(one: &Tally, other: &Tally, matters: impl Fn(Cell) -> bool) -> u64 {
    let cells: BTreeSet<Cell> =
        one.cells().chain(other.cells()).map(|(cell, _)| cell).filter(|cell| matters(*cell)).collect();
    let wrong = cells.into_iter().filter(|cell| one.get(*cell) != other.get(*cell)).count();
    u64::try_from(wrong).unwrap_or(u64::MAX)
}

impl HourView {
    /// The items alone.
    pub(super) fn of_items(items: Items) -> Self {
        Self { items, rows: BTreeMap::new() }
    }

    /// Adds a row.
    pub(super) fn add_row(&mut self, kind: &TypeName, status: Status, created_at: Timestamp) {
        for group in [Group::All, Group::Type(kind.clone())] {
            let tally = self.rows.entry(group).or_default();
            tally.add_one(Cell::Alive(status), 1);
            tally.add_one(Cell::AliveIn(Granularity::Minute.slot(created_at), status), 1);
        }
    }

    /// Adds the rows of another part of the index.
    pub(super) fn add_rows(&mut self, other: &Self) {
        for (group, tally) in &other.rows {
            self.rows.entry(group.clone()).or_default().add(tally);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.rows.is_empty()
    }

    /// The types that its rows have.
    pub(super) fn types(&self) -> impl Iterator<Item = &TypeName> {
        self.rows.keys().filter_map(|group| if let Group::Type(kind) = group { Some(kind) } else { None })
    }

    /// How often each item was written.
    pub(super) fn revisions(&self) -> BTreeMap<&(Group, Of), Option<i64>> {
        self.items.iter().map(|(key, item)| (key, revision(Some(item)))).collect()
    }

    /// Tells whether it was seen so before.
    pub(super) fn fingerprint(&self) -> String {
        let items: BTreeMap<_, _> =
            self.items.iter().map(|(key, item)| (key, Tally::of_item(item))).collect();
        let text = format!("{:?} {items:?} {:?}", self.revisions(), self.rows);
        let bytes = Fingerprint::of(text.as_bytes());
        format!("{:032x}", u128::from_be_bytes(*bytes.bytes()))
    }

    /// How many numbers are wrong.
    pub(super) fn wrong(&self) -> u64 {
        let wrong = |(key, right): (&(Group, Of), &Tally)| {
            let said = self.items.get(key).map(Tally::of_item).unwrap_or_default();
            differences(&said, right, |cell| key.1.tells(cell) || is_history(cell))
        };
        self.right().iter().map(wrong).sum()
    }

    /// The right content of each item.
    pub(super) fn right(&self) -> BTreeMap<(Group, Of), Tally> {
        let mut right: BTreeMap<(Group, Of), Tally> = BTreeMap::new();
        for (group, tally) in self.hours() {
            right.insert((group.clone(), Of::Minutes), Of::Minutes.part(self.rows.get(&group)));
            right.insert((group, Of::Hour), tally);
        }
        right
    }

    /// The right content of the items of the hour as a whole.
    fn hours(&self) -> BTreeMap<Group, Tally> {
        let known = self.items.keys().map(|(group, _)| group);
        let groups: BTreeSet<&Group> = known.chain(self.rows.keys()).collect();
        let types: Vec<&Group> = groups.into_iter().filter(|group| **group != Group::All).collect();
        let hours = self.items.iter().filter(|((_, of), _)| *of == Of::Hour);
        let said: BTreeMap<&Group, Tally> =
            hours.map(|((group, _), item)| (group, Tally::of_item(item))).collect();
        let mut right: BTreeMap<Group, Tally> = BTreeMap::new();
        for group in &types {
            right.insert((*group).clone(), history(said.get(group)));
        }
        // If the item of one type is lost, the others and that of all jobs tell its content.
        let lost: Vec<&Group> = types.iter().copied().filter(|group| !said.contains_key(group)).collect();
        if let (Some(all), [lost]) = (said.get(&Group::All), lost.as_slice()) {
            let others = sum(right.values());
            let mut rest = Tally::default();
            for (cell, value) in all.cells().filter(|(cell, _)| is_history(*cell)) {
                rest.set(cell, (value - others.get(cell)).max(0));
            }
            right.insert((*lost).clone(), rest);
        }
        for (group, tally) in &mut right {
            let rows = Of::Hour.part(self.rows.get(group));
            // A number that must never fall is only ever raised.
            let gap = alive(&rows) - (tally.get(Cell::Created) - tally.get(Cell::Removed));
            tally.add_one(if gap > 0 { Cell::Created } else { Cell::Removed }, gap.abs());
            tally.add(&rows);
        }
        let mut all = sum(right.values());
        all.add(&Of::Hour.part(self.rows.get(&Group::All)));
        right.insert(Group::All, all);
        right
    }
}

/// The numbers of a tally about past events.
fn history(tally: Option<&Tally>) -> Tally {
    let mut history = Tally::default();
    for (cell, value) in tally.into_iter().flat_map(Tally::cells).filter(|(cell, _)| is_history(*cell)) {
        history.set(cell, value);
    }
    history
}

/// The numbers of several tallies about past events.
fn sum<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Tally {
    let mut sum = Tally::default();
    for tally in tallies {
        sum.add(&history(Some(tally)));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::value::n;

    const HOUR: Timestamp = Timestamp::from_millis(1_768_107_600_000);

    fn kind(name: &str) -> TypeName {
        TypeName::try_from(name).unwrap()
    }

    fn group(name: &str) -> Group {
        Group::Type(kind(name))
    }

    fn hour(name: &str) -> (Group, Of) {
        (group(name), Of::Hour)
    }

    fn minutes(name: &str) -> (Group, Of) {
        (group(name), Of::Minutes)
    }

    fn item(cells: &[(&str, i64)]) -> AttributeMap {
        cells.iter().map(|(name, value)| ((*name).to_owned(), n(value))).collect()
    }

    /// Two jobs of a, one of which has ended, and one of b; one of b is gone.
    fn view() -> HourView {
        let mut view = HourView::default();
        view.add_row(&kind("a"), Status::Queued, HOUR);
        view.add_row(&kind("a"), Status::Completed, HOUR.plus_millis(61_000));
        view.add_row(&kind("b"), Status::Queued, HOUR);
        let a = [("alive:queued", 1), ("alive:completed", 1)];
        let b = [("alive:queued", 1), ("created", 2), ("removed", 1), ("revision", 3)];
        let history = [("created", 2), ("ended:completed", 1), ("revision", 7)];
        view.items.insert(hour("a"), item(&[a.as_slice(), &history].concat()));
        view.items.insert(minutes("a"), item(&[("00q", 1), ("01c", 1)]));
        view.items.insert(hour("b"), item(&b));
        view.items.insert(minutes("b"), item(&[("00q", 1)]));
        let all = [
            ("alive:queued", 2),
            ("alive:completed", 1),
            ("created", 4),
            ("removed", 1),
            ("ended:completed", 1),
        ];
        view.items.insert((Group::All, Of::Hour), item(&all));
        view.items.insert((Group::All, Of::Minutes), item(&[("00q", 2), ("01c", 1)]));
        view
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut HourView), wrong: u64) -> HourView {
        let mut view = view();
        let before = view.fingerprint();
        change(&mut view);
        assert_eq!(view.wrong(), wrong);
        assert_eq!(view.fingerprint() == before, wrong == 0);
        // The right content has no errors.
        let right = view.right();
        for (key, tally) in &right {
            let cells = tally.cells().map(|(cell, value)| (cell.to_string(), n(value)));
            view.items.insert(key.clone(), cells.collect());
            assert_eq!(tally.get(Cell::Created) - tally.get(Cell::Removed), alive(tally), "{key:?}");
        }
        assert_eq!(view.wrong(), 0);
        view
    }

    #[test]
    fn what_fits_is_right() {
        check(|_| {}, 0);
    }

    #[test]
    fn each_wrong_number_is_counted() {
        let set = |view: &mut HourView, key: (Group, Of), name: &str, value: i64| {
            view.items.entry(key).or_default().insert(name.to_owned(), n(value));
        };
        check(|view| set(view, (Group::All, Of::Hour), "alive:queued", 5), 1);
        check(|view| set(view, minutes("a"), "00q", 0), 1);
        check(|view| set(view, minutes("a"), "59x", -4), 1);
        check(|view| set(view, (Group::All, Of::Hour), "created", 9), 1);
        // Nobody can tell that the type is wrong and not the sum; but the number of living jobs is known.
        check(|view| set(view, hour("b"), "created", 3), 3);
        check(|view| set(view, hour("x"), "alive:queued", 3), 1);
    }

    #[test]
    fn an_item_that_is_lost_is_told_by_the_others() {
        for lost in [(Group::All, Of::Hour), hour("a"), hour("b"), minutes("a"), (Group::All, Of::Minutes)] {
            let whole = view();
            let cells = Tally::of_item(&whole.items[&lost]).cells().filter(|(_, value)| *value != 0).count();
            let view = check(|view| drop(view.items.remove(&lost)), cells.try_into().unwrap());
            assert_eq!(
                differences(
                    &Tally::of_item(&view.items[&lost]),
                    &Tally::of_item(&whole.items[&lost]),
                    |_| true
                ),
                0,
                "{lost:?}"
            );
        }
    }

    #[test]
    fn where_all_is_lost_there_is_what_is_alive() {
        let mut lost = view();
        lost.items.clear();
        let right = lost.right();
        assert_eq!(right[&(Group::All, Of::Hour)].get(Cell::Created), 3);
        assert_eq!(right[&hour("a")].get(Cell::Alive(Status::Completed)), 1);
        assert!(!lost.is_empty() && HourView::default().is_empty());
    }
}
