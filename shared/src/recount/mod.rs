//! Counting anew, while the service runs: what the buckets say beside what the jobs say.
//!
//! Owner by owner, the hours are compared with the rows of the index, and then each longer bucket with the shorter ones
//! that it is made of. What is wrong is told; it is put right where that was asked for.
//!
//! Each part takes some steps of that walk. What a step finds to be put right, it writes down (`fixes`), and the next
//! part does it: so a part that is done again knows what it was to do, and tells its own doing.

mod begin;
mod hour;
mod level;
mod look;
mod numbers;
mod repair;
mod settle;
mod walk;

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use crate::domain::{Output, Owner, Percent, Progress, TaskName, Timestamp, TypeName};
use crate::dynamo::schema::ALL_OWNERS;
use crate::dynamo::{Corrupt, Source, StoreError};
use crate::tally::{Bucket, Cell, Granularity, Group, Place, Recounted, Tally};
use crate::tasks::{Bench, Step, Work};

pub use begin::{Asked, Begun, RecountRequest, begin};

use level::{Compared, compare};
use numbers::Numbers;
use repair::{Fix, Fixed, repair};
use settle::{MAX_SUSPECTS, Suspect};

/// Steps of the walk that one part takes.
const MAX_STEPS: usize = 100;
/// Past so many rows, a part takes no more steps, and a step no more hours.
const MAX_ROWS: u64 = 100_000;
/// Longest time to settle that can be asked for, in seconds.
pub const MAX_SETTLE_SECONDS: i64 = 3_600;
/// Time to settle where nobody says, in seconds.
pub const SETTLE_SECONDS: u16 = 60;

/// The kind of work.
#[derive(Debug)]
pub struct Recount;

/// What is to be compared, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecountState {
    repair: bool,
    /// Whose counts; `None`: everybody's.
    owner: Option<String>,
    settle_seconds: u16,
    at: At,
    /// Hours that seem wrong.
    suspects: Vec<Suspect>,
    /// And those that looked different when they were looked at again.
    again: Vec<Suspect>,
    /// Since when these settle.
    settling: Option<i64>,
    /// What the next part puts right.
    fixes: Vec<Fix>,
    numbers: Numbers,
}

/// Where the walk is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    /// Before the hours of the owner after this one.
    HoursAfter(Option<String>),
    /// At the hours of an owner from a time on.
    Hours(String, i64),
    /// Before the longer buckets of the owner after this one.
    LevelsAfter(Option<String>),
    /// At those of an owner: of all jobs or those of a type, from a month on.
    Levels(String, Option<String>, i64, Level),
    /// At the sums over all owners.
    Everybody,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Days,
    Month,
}

impl RecountState {
    /// Nothing done yet.
    pub fn new(request: &RecountRequest) -> Self {
        Self {
            repair: request.repair,
            owner: request.owner.as_ref().map(ToString::to_string),
            settle_seconds: request.settle_seconds,
            at: At::HoursAfter(None),
            suspects: Vec::new(),
            again: Vec::new(),
            settling: None,
            fixes: Vec::new(),
            numbers: Numbers::default(),
        }
    }

    /// Whether hours must be looked at again before the walk goes on.
    fn must_settle(&self) -> bool {
        let is_among_hours = matches!(self.at, At::Hours(..) | At::HoursAfter(_));
        self.settling.is_some()
            || self.suspects.len() >= MAX_SUSPECTS
            || (!self.suspects.is_empty() && !is_among_hours)
    }

    /// Notes what is wrong, to be put right where that was asked for.
    fn found_wrong(&mut self, fix: Fix) {
        self.numbers.drift.add(&fix.scope, fix.wrong);
        if self.repair {
            self.fixes.push(fix);
        } else {
            self.numbers.left.add(&fix.scope, fix.wrong);
        }
    }

    /// Which owner comes after another in this walk.
    async fn next_owner(
        &self,
        source: Source<'_>,
        after: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        Ok(match (&self.owner, after) {
            (Some(_), Some(_)) => None,
            (Some(only), None) => Some(only.clone()),
            (None, after) => {
                let after = after.map(owner).transpose()?;
                walk::next_owner(source, after.as_ref()).await?.map(|owner| owner.to_string())
            }
        })
    }

    /// Takes the next step of the walk; answers with how many rows it read.
    async fn step(&mut self, source: Source<'_>) -> Result<u64, StoreError> {
        match self.at.clone() {
            At::HoursAfter(after) => {
                let next = self.next_owner(source, after.as_deref()).await?;
                self.at =
                    next.map_or(At::LevelsAfter(None), |owner| At::Hours(owner, Timestamp::MIN.millis()));
            }
            At::Hours(name, from) => return self.hours(source, name, Timestamp::from_millis(from)).await,
            At::LevelsAfter(after) => {
                let next = self.next_owner(source, after.as_deref()).await?;
                self.at = next.map_or(At::Everybody, |owner| {
                    At::Levels(owner, None, Timestamp::MIN.millis(), Level::Days)
                });
            }
            At::Levels(name, group, from, level) => {
                self.levels(source, name, group, Timestamp::from_millis(from), level).await?;
            }
            At::Everybody => {
                for place in level::odd_types(source).await? {
                    self.compare(source, ALL_OWNERS, &place).await?;
                }
                self.at = At::End;
            }
            At::End => {}
        }
        Ok(0)
    }

    /// Compares the next hours that an owner has with their rows.
    async fn hours(&mut self, source: Source<'_>, name: String, from: Timestamp) -> Result<u64, StoreError> {
        let owner = owner(&name)?;
        let mut types = walk::types(source, owner.as_str()).await?;
        let Some(first) = walk::next_hour(source, &owner, &types, from).await? else {
            self.at = At::HoursAfter(Some(name));
            return Ok(0);
        };
        let last = last_hour(source, &owner, first).await?;
        let mut rows = 0;
        for seen in look::look(source, &owner, &mut types, first, last).await? {
            if seen.view.is_empty() {
                continue;
            }
            rows += seen.rows;
            self.numbers.hours += 1;
            if !seen.is_steady {
                self.numbers.busy += 1;
            } else if seen.view.wrong() > 0 {
                self.suspects.push(Suspect {
                    owner: name.clone(),
                    hour: seen.hour.millis(),
                    seen: seen.view.fingerprint(),
                    looks: 0,
                });
            }
        }
        self.numbers.rows += rows;
        let end = Granularity::Hour.end(last);
        self.at = if end < Timestamp::MAX {
            At::Hours(name, end.plus_millis(1).millis())
        } else {
            At::HoursAfter(Some(name))
        };
        Ok(rows)
    }

    /// Compares an owner's next longer buckets with what they are made of: a month's days, the month, or the total.
    async fn levels(
        &mut self,
        source: Source<'_>,
        name: String,
        kind: Option<String>,
        from: Timestamp,
        level: Level,
    ) -> Result<(), StoreError> {
        let owner = owner(&name)?;
        let group = match &kind {
            None => Group::All,
            Some(kind) => Group::Type(
                TypeName::try_from(kind.as_str()).map_err(|error| Corrupt::new("type under way", error))?,
            ),
        };
        if level == Level::Month {
            let place = Place::new(Bucket::of(Granularity::Month, from), group);
            self.compare(source, &name, &place).await?;
            let end = Granularity::Month.end(from);
            self.at = if end < Timestamp::MAX {
                At::Levels(name, kind, end.plus_millis(1).millis(), Level::Days)
            } else {
                At::LevelsAfter(Some(name))
            };
            return Ok(());
        }
        if let Some(month) = walk::next_month(source, &owner, &group, from).await? {
            for place in level::odd_days(source, &owner, &group, month).await? {
                self.compare(source, &name, &place).await?;
            }
            self.at = At::Levels(name, kind, month.millis(), Level::Month);
            return Ok(());
        }
        self.compare(source, &name, &Place::new(Bucket::Total, group)).await?;
        let types = walk::types(source, &name).await?;
        let next = types.into_iter().map(|kind| kind.to_string()).find(|next| Some(next) > kind.as_ref());
        self.at = match next {
            None => At::LevelsAfter(Some(name)),
            Some(next) => At::Levels(name, Some(next), Timestamp::MIN.millis(), Level::Days),
        };
        Ok(())
    }

    /// Compares a bucket with its parts.
    async fn compare(&mut self, source: Source<'_>, scope: &str, place: &Place) -> Result<(), StoreError> {
        match compare(source, scope, place).await? {
            Compared::Right => {}
            Compared::Busy => self.numbers.busy += 1,
            Compared::Wrong(wrong, _) => {
                tracing::error!(scope, bucket = %place, wrong, "a bucket is not the sum of its parts");
                self.found_wrong(Fix {
                    scope: scope.to_owned(),
                    place: place.to_string(),
                    wrong,
                    seen: None,
                });
            }
        }
        Ok(())
    }

    /// Puts right what the part before has written down.
    async fn put_right(&mut self, bench: &Bench<'_>, source: Source<'_>) -> Result<(), StoreError> {
        let mut rows = 0;
        while let Some(fix) = self.fixes.pop() {
            let (fixed, read) = repair(source, &fix).await?;
            match fixed {
                Fixed::Now => self.numbers.repaired += fix.wrong,
                // It may have been this very part, when it was done before.
                Fixed::Before if bench.is_again => self.numbers.repaired += fix.wrong,
                Fixed::Before => {}
                Fixed::Not => self.numbers.left.add(&fix.scope, fix.wrong),
            }
            rows += read;
            if rows > MAX_ROWS {
                break;
            }
        }
        Ok(())
    }

    /// Writes down what was found, for the metrics, and ends.
    async fn end(self, bench: &Bench<'_>, source: Source<'_>) -> Result<Step<Self>, StoreError> {
        let Numbers { hours, busy, repaired, left, .. } = self.numbers.clone();
        match &self.owner {
            None => {
                let drift = left.into_map();
                let recounted = Recounted { finished_at: bench.now, hours, busy, repaired, drift };
                recounted.record(source.store, source.tables).await?;
            }
            Some(owner) => {
                for scope in [owner.as_str(), ALL_OWNERS] {
                    Recounted::record_one(source.store, source.tables, scope, left.get(scope)).await?;
                }
            }
        }
        let result = to_raw_value(&self.numbers.gave());
        let result = result.map_err(|error| Corrupt::new("result of a recount", error))?;
        Ok(Step::Done(Output { result: Some(result), ..Output::default() }))
    }
}

fn owner(name: &str) -> Result<Owner, Corrupt> {
    Owner::try_from(name).map_err(|error| Corrupt::new("owner under way", error))
}

/// The last of the hours that are looked at together with this one: of the same day, and as many as have not too many
/// rows together, as far as that is counted.
async fn last_hour(source: Source<'_>, owner: &Owner, first: Timestamp) -> Result<Timestamp, StoreError> {
    let day = Place::new(Bucket::of(Granularity::Day, first), Group::All);
    let day = level::item(source, owner.as_str(), &day).await?;
    let mut hours = [0_u64; 24];
    for (cell, value) in day.as_ref().map(Tally::of_item).unwrap_or_default().cells() {
        if let Cell::AliveIn(hour, _) = cell
            && let Some(rows) = hours.get_mut(usize::from(hour))
        {
            *rows = rows.saturating_add(u64::try_from(value).unwrap_or(0));
        }
    }
    let mut last = Granularity::Hour.slot(first);
    let count = |hour: u8| hours.get(usize::from(hour)).copied().unwrap_or(u64::MAX);
    let mut rows = count(last);
    while rows.saturating_add(count(last + 1)) <= MAX_ROWS {
        last += 1;
        rows = rows.saturating_add(count(last));
    }
    Ok(Granularity::Hour.start_of(Granularity::Day.floor(first), last))
}

impl Work for Recount {
    const KIND: &'static str = crate::domain::RECOUNT;
    type State = RecountState;

    fn progress(state: &RecountState) -> Progress {
        let Numbers { hours, drift, .. } = &state.numbers;
        let task = format!("compared {hours} hours, {} numbers were wrong", drift.sum());
        let hundredths: u16 = match &state.at {
            At::HoursAfter(_) | At::Hours(..) => 0,
            At::LevelsAfter(_) | At::Levels(..) => 5_000,
            At::Everybody | At::End => 9_000,
        };
        Progress {
            current_task: TaskName::try_from(task).ok(),
            current_task_progress: None,
            overall_progress: Percent::try_from(hundredths).unwrap_or_default(),
        }
    }

    async fn part(bench: &Bench<'_>, mut state: RecountState) -> Result<Step<RecountState>, StoreError> {
        let source = bench.ledger.source().await?;
        if !state.fixes.is_empty() {
            state.put_right(bench, source).await?;
            return Ok(Step::GoOn(state));
        }
        if state.must_settle() {
            settle::settle(bench, source, &mut state).await?;
            return Ok(Step::GoOn(state));
        }
        let mut rows = 0;
        for _ in 0..MAX_STEPS {
            if state.at == At::End {
                return state.end(bench, source).await;
            }
            rows += state.step(source).await?;
            if rows > MAX_ROWS || !state.fixes.is_empty() || state.must_settle() {
                break;
            }
        }
        Ok(Step::GoOn(state))
    }
}

#[cfg(test)]
mod tests;
