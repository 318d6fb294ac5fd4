//! The steps of the walk: each compares some hours, or some longer buckets, and says where the next one goes on.

use std::collections::BTreeSet;

use super::level::{self, Compared, compare};
use super::look;
use super::repair::{Fix, Fixed, repair};
use super::settle::Suspect;
use super::{At, Level, MAX_ROWS, RecountState, walk};
use crate::background::TaskContext;
use crate::counts::{Bucket, Cell, Granularity, Group, Place, Tally};
use crate::domain::{Owner, Timestamp, TypeName};
use crate::store::schema::ALL_OWNERS;
use crate::store::{Corrupt, Source, StoreError};

impl RecountState {
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
    pub(super) async fn step(
        &mut self,
        source: Source<'_>,
        known: &mut KnownTypes,
    ) -> Result<u64, StoreError> {
        match self.at.clone() {
            At::HoursAfter(after) => {
                let next = self.next_owner(source, after.as_deref()).await?;
                self.at =
                    next.map_or(At::LevelsAfter(None), |owner| At::Hours(owner, Timestamp::MIN.millis()));
            }
            At::Hours(name, from) => {
                return self.hours(source, known, name, Timestamp::from_millis(from)).await;
            }
            At::LevelsAfter(after) => {
                let next = self.next_owner(source, after.as_deref()).await?;
                self.at = next.map_or(At::Everybody, |owner| {
                    At::Levels(owner, None, Timestamp::MIN.millis(), Level::Days)
                });
            }
            At::Levels(name, group, from, level) => {
                self.levels(source, known, name, (group, Timestamp::from_millis(from), level)).await?;
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
    async fn hours(
        &mut self,
        source: Source<'_>,
        known: &mut KnownTypes,
        name: String,
        from: Timestamp,
    ) -> Result<u64, StoreError> {
        let owner = owner(&name)?;
        let mut types = known.of(source, &name).await?;
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
        known: &mut KnownTypes,
        name: String,
        (kind, from, level): (Option<String>, Timestamp, Level),
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
        let types = known.of(source, &name).await?;
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
    pub(super) async fn put_right(
        &mut self,
        context: &TaskContext<'_>,
        source: Source<'_>,
    ) -> Result<(), StoreError> {
        let mut rows = 0;
        while let Some(fix) = self.fixes.pop() {
            let (fixed, read) = repair(source, &fix).await?;
            match fixed {
                Fixed::Now => self.numbers.repaired += fix.wrong,
                // It may have been this very part, when it was done before.
                Fixed::Before if context.is_again => self.numbers.repaired += fix.wrong,
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
}

/// The types of the owner that a part is at: found once, because that takes a request or more for each.
#[derive(Debug, Default)]
pub(super) struct KnownTypes(Option<(String, BTreeSet<TypeName>)>);

impl KnownTypes {
    async fn of(&mut self, source: Source<'_>, owner: &str) -> Result<BTreeSet<TypeName>, StoreError> {
        if let Some((known, types)) = &self.0
            && known == owner
        {
            return Ok(types.clone());
        }
        let types = walk::types(source, owner).await?;
        self.0 = Some((owner.to_owned(), types.clone()));
        Ok(types)
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
