//! The next place of the walk: owners, types, hours and months, each found by its name, without reading those between.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::look::{first_name, first_row};
use crate::counts::{Bucket, Granularity, Group, Place};
use crate::domain::{Owner, Timestamp, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::schema::OWNERS;
use crate::store::{Source, StoreError};

/// Begins the names of a type's items, of each length.
const WORDS: [&str; 4] = ["total", "month", "day", "hour"];

/// The next owner by name.
pub(super) async fn next_owner(
    source: Source<'_>,
    after: Option<&Owner>,
) -> Result<Option<Owner>, StoreError> {
    // Names have letters, digits, '-', '.', ':' and '_': all of them lie between these two.
    let mut first = after.map_or_else(|| "!".to_owned(), |owner| format!("{owner}!"));
    loop {
        let Some(name) = first_name(source, OWNERS, &first, "~").await? else { return Ok(None) };
        match Owner::try_from(name.as_str()) {
            Ok(owner) => return Ok(Some(owner)),
            Err(_) => first = format!("{name}!"),
        }
    }
}

/// All types of which a scope has an item of any length.
pub(super) async fn types(source: Source<'_>, scope: &str) -> Result<BTreeSet<TypeName>, StoreError> {
    let walks = WORDS.map(|word| async move {
        let (mut types, mut first) = (Vec::new(), format!("{word}@"));
        let last = format!("{word}A");
        while let Some(name) = first_name(source, scope, &first, &last).await? {
            let name = name.split_once('@').map_or("", |(_, rest)| rest);
            let name = name.split_once('#').map_or(name, |(kind, _)| kind);
            types.extend(TypeName::try_from(name).ok());
            // '$' follows '#', and comes before all that a type's name may have.
            first = format!("{word}@{name}$");
        }
        Ok::<_, StoreError>(types)
    });
    let types: Vec<Vec<TypeName>> = stream::iter(walks).buffered(WORDS.len()).try_collect().await?;
    Ok(types.into_iter().flatten().collect())
}

/// The beginning of the first bucket of these lengths that is not before a time.
async fn next_item(
    source: Source<'_>,
    owner: &Owner,
    groups: impl Iterator<Item = Group>,
    lengths: &[Granularity],
    from: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let places = groups.flat_map(|group| lengths.iter().map(move |length| (group.clone(), *length)));
    let reads = places.map(|(group, length)| async move {
        let name = |time| Place::new(Bucket::of(length, time), group.clone()).to_string();
        let found = first_name(source, owner.as_str(), &name(from), &name(Timestamp::MAX)).await?;
        Ok::<_, StoreError>(match found.and_then(|name| Place::parse(&name)) {
            Some(Place { bucket: Bucket::Span(_, start), .. }) => Some(start),
            Some(_) | None => None,
        })
    });
    let reads: Vec<_> = reads.collect();
    let found: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().min())
}

/// The first hour, not before a time, that has a job or an item.
pub(super) async fn next_hour(
    source: Source<'_>,
    owner: &Owner,
    types: &BTreeSet<TypeName>,
    from: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let groups = [Group::All].into_iter().chain(types.iter().cloned().map(Group::Type));
    let (row, item) = futures_util::future::try_join(
        first_row(source, owner, from),
        next_item(source, owner, groups, &[Granularity::Hour], from),
    )
    .await?;
    Ok(row.into_iter().chain(item).min().map(|time| Granularity::Hour.floor(time)))
}

/// The first month, not before a time, of which these jobs have a bucket of any length.
pub(super) async fn next_month(
    source: Source<'_>,
    owner: &Owner,
    group: &Group,
    from: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let groups = [group.clone()].into_iter();
    let found = next_item(source, owner, groups, &Granularity::BUCKETS, from).await?;
    Ok(found.map(|time| Granularity::Month.floor(time)))
}
