//! Lists compared with the model: every kind of page, from the first to the last, and places in the middle.

use jobledger::domain::{Job, JobQuery, Owner, Timestamp};
use jobledger::http::{QueryString, job_query};
use jobledger_tests::Reply;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::stream::Dice;
use percent_encoding::percent_decode_str;

use crate::engine::FunctionSet;
use crate::model::Asked;

/// About how many pages a walk has.
const PAGES: usize = 4;
/// Most attempts to read a page.
const MAX_TRIES: usize = 5;
/// The deepest offset.
const FAR: usize = 1_000_000;

/// The kind of page parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Family {
    Cursor,
    Offset,
    Skip,
    Page,
}

impl Family {
    pub(crate) const ALL: [Self; 4] = [Self::Cursor, Self::Offset, Self::Skip, Self::Page];

    const fn max(self) -> usize {
        match self {
            Self::Cursor | Self::Offset | Self::Skip => 100,
            Self::Page => 500,
        }
    }

    /// The parameters of the page that begins at this place.
    fn words(self, begin: usize, size: usize, cursor: &str) -> String {
        match self {
            Self::Cursor if cursor.is_empty() => format!("&limit={size}"),
            Self::Cursor => format!("&limit={size}&cursor={cursor}"),
            Self::Offset => format!("&limit={size}&offset={begin}"),
            Self::Skip => format!("&limit={size}&skip={begin}"),
            Self::Page => format!("&per_page={size}&page={}", begin / size + 1),
        }
    }
}

/// Reads a page of a list, which must succeed.
pub(crate) async fn page(lister: &Alone, target: &str) -> Reply {
    let mut reply = lister.call(&Request::new("GET", target)).await;
    for _ in 1..MAX_TRIES {
        // The only reason is a slow machine: no other failure here returns 503.
        if reply.status != 503 {
            break;
        }
        reply = lister.call(&Request::new("GET", target)).await;
    }
    assert_eq!(reply.status, 200, "{target}: {}", reply.text);
    reply
}

/// The ids of a page, in order.
pub(crate) fn ids(reply: &Reply) -> Vec<String> {
    let jobs = reply.json["jobs"].as_array().expect("jobs");
    jobs.iter().map(|job| job["job_id"].as_str().expect("an id").to_owned()).collect()
}

/// The link to the next page, from the answer.
fn link(reply: &Reply) -> Option<String> {
    let link = reply.headers.get("link")?.to_str().expect("text");
    let link = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    Some(link.expect("a link to the next page").to_owned())
}

/// The page must be the right part of the list, and its numbers must agree.
fn check(target: &str, reply: &Reply, list: &[&Job], begin: usize, size: usize, is_counted: bool) {
    let end = (begin + size).min(list.len());
    let rows = list.get(begin..end).unwrap_or_default();
    let expected: Vec<String> = rows.iter().map(|job| job.id.to_string()).collect();
    assert_eq!(ids(reply), expected, "{target}: rows {begin} to {end} of {}", list.len());
    for (job, shown) in rows.iter().zip(reply.json["jobs"].as_array().into_iter().flatten()) {
        let said = ["status", "type", "owner", "created_at", "updated_at"].map(|name| shown[name].as_str());
        let status = job.status().to_string();
        let (created_at, updated_at) = (job.created_at.to_string(), job.updated_at.to_string());
        let must = [&status, job.kind.as_str(), job.owner.as_str(), &created_at, &updated_at].map(Some);
        assert_eq!(said, must, "{target}");
    }
    let is_more = end < list.len() && begin < list.len();
    assert_eq!(reply.json["has_more"], is_more, "{target}");
    assert_eq!(reply.json["next_cursor"].is_string(), is_more, "{target}");
    assert_eq!(link(reply).is_some(), is_more, "{target}");
    if is_counted {
        assert_eq!(reply.json["total"], list.len(), "{target}");
        assert_eq!(reply.json["total_kind"], "exact", "{target}");
    }
}

/// Walks a list from its first page to its last. Every row must come once, in order.
pub(crate) async fn walk(lister: &Alone, asked: &Asked, list: &[&Job], family: Family, dice: &mut Dice) {
    let about = (list.len() / PAGES).max(1);
    let size = (1 + dice.below(2 * about)).max(list.len() / (2 * PAGES)).min(family.max());
    let by_link = dice.is_one_in(2);
    let mut target = format!("/v1/jobs?{}{}", asked.text(), family.words(0, size, ""));
    let mut begin = 0;
    loop {
        let reply = page(lister, &target).await;
        check(&target, &reply, list, begin, size, true);
        begin += size;
        let Some(cursor) = reply.json["next_cursor"].as_str() else { break };
        target = if by_link {
            link(&reply).expect("a link")
        } else {
            format!("/v1/jobs?{}{}", asked.text(), family.words(begin, size, cursor))
        };
    }
    assert!(begin >= list.len());
}

/// Reads a page in the middle of a list or past its end, and goes on from there by cursor.
pub(crate) async fn peek(lister: &Alone, asked: &Asked, list: &[&Job], dice: &mut Dice) {
    let begin = if dice.is_one_in(10) { FAR } else { dice.below(list.len() + 3) };
    let size = 1 + dice.below(10);
    let is_deep = begin > 10_000 && asked.is_filtered();
    if is_deep && asked.sort.is_none() {
        return;
    }
    let target = format!("/v1/jobs?{}{}", asked.text(), Family::Offset.words(begin, size, ""));
    let reply = page(lister, &target).await;
    check(&target, &reply, list, begin, size, true);
    if let Some(cursor) = reply.json["next_cursor"].as_str() {
        let target = format!("/v1/jobs?{}{}", asked.text(), Family::Cursor.words(0, size, cursor));
        check(&target, &page(lister, &target).await, list, begin + size, size, true);
    }
}

/// The first page, before all is counted: only its total may be late.
pub(crate) async fn glance(lister: &Alone, asked: &Asked, list: &[&Job], dice: &mut Dice) {
    let size = 1 + dice.below(20);
    let target = format!("/v1/jobs?{}&limit={size}", asked.text());
    let reply = page(lister, &target).await;
    check(&target, &reply, list, 0, size, false);
    let begin = 1 + dice.below(list.len() + 1);
    let target = format!("/v1/jobs?{}&limit={size}&offset={begin}", asked.text());
    let reply = page(lister, &target).await;
    let shown = ids(&reply);
    // The place of an offset depends on the counts, which may be late. But the page must be a part of the list.
    let at = list.iter().position(|job| shown.first() == Some(&job.id.to_string()));
    let part = list.iter().skip(at.unwrap_or(list.len())).take(shown.len()).map(|job| job.id.to_string());
    assert_eq!(part.collect::<Vec<_>>(), shown, "{target}");
    assert!(shown.len() <= size, "{target}");
}

/// The list's numbers, by status and by type.
pub(crate) async fn count(functions: &FunctionSet, shards: u16, asked: &Asked, list: &[&Job]) {
    let text = asked.text();
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().expect("UTF-8").into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), decoded(value)));
    let pairs = pairs.filter(|(name, _)| !["owner", "sort_by", "sort_order"].contains(&name.as_str()));
    let owner = Owner::try_from(asked.owner.as_str()).expect("an owner");
    let mut pairs = QueryString::new(pairs);
    let query: JobQuery = job_query(owner, &mut pairs, Timestamp::MIN);
    let query = pairs.finish(Some(query)).expect("a query");
    let counts = functions.ledger(shards).jobs().count(&query, false).await.expect("counts");
    assert_eq!(counts.total.count, u64::try_from(list.len()).unwrap_or(0), "{text}");
    for (status, number) in counts.by_status.iter() {
        let rows = list.iter().filter(|job| job.status() == status).count();
        assert_eq!(number, u64::try_from(rows).unwrap_or(0), "{text}: {status}");
    }
    let kinds: u64 = counts.by_type.values().map(jobledger::counts::StatusCounts::total).sum();
    assert_eq!(kinds, counts.total.count, "{text}");
    for (kind, number) in counts.by_type {
        let rows = list.iter().filter(|job| job.kind == kind).count();
        assert_eq!(number.total(), u64::try_from(rows).unwrap_or(0), "{text}: {kind}");
    }
}
