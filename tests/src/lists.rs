//! Jobs for lists, and reading lists from their first page to their last.

use jobledger::domain::{ExternalId, JobId, Owner, Timestamp};
use serde_json::{Value, json};

use crate::jobs::ingest;
use crate::problems::refuses;
use crate::{Reply, Service, text};

/// The types of [`rows`].
pub const TYPES: [&str; 3] = ["a", "b.c", "d:e"];

/// The statuses of [`rows`].
pub const STATUSES: [&str; 5] = ["queued", "running", "completed", "failed", "cancelled"];

/// A job that lists should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    owner: Owner,
    /// Its external id.
    pub external_id: String,
    /// Its type.
    pub kind: String,
    /// Its status.
    pub status: &'static str,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Row {
    /// The sort key of lists: the time, then the id.
    pub fn key(&self) -> (Timestamp, String) {
        let external_id = ExternalId::try_from(self.external_id.as_str()).expect("an external id");
        (self.created_at, JobId::of_external_id(&self.owner, &external_id).to_string())
    }

    fn to_ingest(&self) -> Value {
        let Self { owner: _, external_id, kind, status, created_at } = self;
        let mut job = json!({
            "external_id": external_id, "type": kind, "status": status, "created_at": created_at,
        });
        if ["running", "completed", "failed"].contains(status) {
            job["started_at"] = json!(created_at);
        }
        if ["completed", "failed", "cancelled"].contains(status) {
            job["completed_at"] = json!(created_at);
        }
        if *status == "failed" {
            job["error"] = json!("x");
        }
        job
    }
}

/// 130 jobs over four days at the turn of a year, of every type in every status. Some share a millisecond, and some lie
/// on the edges of hours, days and months.
pub fn rows(service: &Service) -> Vec<Row> {
    let owner = Owner::try_from(service.owner.as_str()).expect("an owner");
    let start = Timestamp::parse("2025-12-30T22:00:00.000Z").expect("a time").millis();
    let row = |number: usize, millis: i64| Row {
        owner: owner.clone(),
        external_id: format!("n{number}"),
        kind: TYPES[number % TYPES.len()].to_owned(),
        status: STATUSES[number / TYPES.len() % STATUSES.len()],
        created_at: Timestamp::from_millis(millis),
    };
    // 47 minutes apart, three at a time.
    let spread = (0..105).map(|number| {
        let step = i64::try_from(number / 3).expect("a small number");
        row(number, start + step * 47 * 60_000 * 3)
    });
    let edges = ["2025-12-31T00:00:00.000Z", "2026-01-01T00:00:00.000Z", "2026-01-01T05:00:00.000Z"];
    let edges = edges.map(|edge| Timestamp::parse(edge).expect("a time").millis());
    let offsets = [-2, -1, 0, 1, 2];
    let edges = edges.into_iter().flat_map(|edge| offsets.map(|offset| edge + offset)).enumerate();
    let edges = edges.map(|(number, millis)| row(105 + number, millis));
    // Many in one millisecond: only their ids differ.
    let crowd = (120..130).map(|number| row(number, start + 7));
    spread.chain(edges).chain(crowd).collect()
}

/// Ingests the rows, and waits until they are counted.
pub async fn ingest_rows(service: &Service) {
    let rows = rows(service);
    let jobs: Vec<Value> = rows.iter().map(Row::to_ingest).collect();
    let count = u64::try_from(rows.len()).expect("a count");
    assert_eq!(ingest(service, &json!(jobs)).await, [count, 0, 0, 0]);
    service.settled().await;
}

/// The expected list of these rows, in this order, as external ids.
pub fn expected(rows: &[Row], order: &str, is_wanted: impl Fn(&Row) -> bool) -> Vec<String> {
    let mut wanted: Vec<&Row> = rows.iter().filter(|row| is_wanted(row)).collect();
    wanted.sort_by_key(|row| row.key());
    if order == "desc" {
        wanted.reverse();
    }
    wanted.into_iter().map(|row| row.external_id.clone()).collect()
}

/// The external ids of a page.
pub fn ids(reply: &Reply) -> Vec<String> {
    let jobs = reply.at("/jobs").as_array().expect("jobs");
    jobs.iter().map(|job| text(&job["external_id"])).collect()
}

/// The path of the next page, if there is one.
pub fn next_link(reply: &Reply) -> Option<String> {
    let link = reply.header("link")?.strip_prefix('<').expect("a link").to_owned();
    let (path, rest) = link.split_once('>').expect("a link");
    assert_eq!(rest, "; rel=\"next\"");
    Some(path.to_owned())
}

/// Follows the links of a list from its first page to its last, and checks the total on each page.
pub async fn walk(service: &Service, query: &str, total: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = Some(format!("/v1/jobs?{query}"));
    while let Some(path) = next {
        let page = service.get(&path).expect(200).await;
        found.extend(ids(&page));
        assert!(found.len() <= total, "{path}: {} of {total}", found.len());
        assert_eq!((page.at("/total"), page.at("/total_kind")), (&json!(total), &json!("exact")), "{path}");
        assert_eq!(page.at("/has_more"), found.len() < total, "{path}");
        assert_eq!(page.at("/next_cursor").is_string(), found.len() < total, "{path}");
        let limit = usize::try_from(page.at("/limit").as_u64().expect("a limit")).expect("a limit");
        let rows = page.at("/jobs").as_array().expect("jobs").len();
        assert!(rows == limit || found.len() == total, "{path}: a page of {rows} that is not the last");
        next = next_link(&page);
        assert_eq!(next.is_some(), found.len() < total, "{path}");
    }
    found
}

/// The list must refuse this query, and name exactly these fields.
pub async fn refuses_query(service: &Service, query: &str, fields: &[&str]) {
    let reply = service.get(&format!("/v1/jobs?{query}")).send().await;
    refuses(&reply, 422, "invalid_query", fields);
}
