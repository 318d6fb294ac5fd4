//! The expected lists: a plain filter and a plain sort over all jobs, without the service's code.

use std::collections::BTreeMap;

use jobledger::domain::{ExternalId, Job, Status, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::history::History;

/// The length of the day that a date means.
const DAY_MS: i64 = 86_400_000;
const SORTS: [&str; 3] = ["updated_at", "completed_at", "priority"];
const SEARCHES: [&str; 7] = ["report", "PDF", "äpfel", "x", "_#?&+=", "NEEDLE", "nothing has this"];
/// Types that no job has: so many that the function reads all of an owner's jobs at once.
const NOBODYS_KINDS: usize = 4;
/// Distances of a range's bounds from a job's time of creation.
const OFF_MS: [i64; 9] = [0, 1, -1, 999, 60_000, -60_000, 3_600_000, -86_400_000, 40 * 86_400_000];
/// Lengths of spans. Bounds lie at the ends of such spans.
const SPANS_MS: [i64; 4] = [1, 60_000, 3_600_000, DAY_MS];

/// The request for a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) owner: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) statuses: Vec<Status>,
    from: Option<Bound>,
    to: Option<Bound>,
    /// Each label once, because a repeated one is refused.
    labels: BTreeMap<&'static str, String>,
    priority: Option<u8>,
    search: Option<String>,
    external_id: Option<String>,
    /// `None`: in the order of creation.
    pub(crate) sort: Option<&'static str>,
    pub(crate) is_asc: bool,
}

#[derive(Clone, Debug)]
struct Bound {
    text: String,
    time: Timestamp,
}

impl Asked {
    /// The list of all of an owner's jobs.
    pub(crate) fn all(owner: &str) -> Self {
        Self { owner: owner.to_owned(), ..Self::default() }
    }

    /// A random list, often a plain one, sometimes an odd one.
    pub(crate) fn random(history: &mut History) -> Self {
        let mut asked = Self::by_type_and_status(history);
        if history.dice.is_one_in(2) {
            asked.within_dates(history);
        }
        if history.dice.is_one_in(3) {
            asked.filtered(history);
        }
        if history.dice.is_one_in(6) {
            asked.sort = Some(*history.dice.pick(&SORTS));
        }
        asked
    }

    /// A list that buckets count, without dates.
    pub(crate) fn by_type_and_status(history: &mut History) -> Self {
        let History { dice, owners, kinds, .. } = history;
        let mut asked = Self::all(dice.pick(owners.as_slice()).as_str());
        asked.is_asc = dice.is_one_in(2);
        if dice.is_one_in(2) {
            let most = 1 + dice.below(3);
            asked.kinds = (0..most).map(|_| dice.pick(kinds.as_slice()).clone()).collect();
        }
        if dice.is_one_in(20) {
            asked.kinds.extend((0..NOBODYS_KINDS).map(|number| format!("nobody-has-{number}")));
        }
        if dice.is_one_in(2) {
            let most = 1 + dice.below(3);
            asked.statuses = (0..most).map(|_| *dice.pick(&Status::ALL)).collect();
        }
        asked
    }

    fn within_dates(&mut self, history: &mut History) {
        let (from, to) = (bound(history, false), bound(history, true));
        match history.dice.roll(4) {
            0 => self.from = Some(from),
            1 => self.to = Some(to),
            _ if from.time <= to.time => (self.from, self.to) = (Some(from), Some(to)),
            _ => self.from = Some(from),
        }
    }

    /// Adds a filter that buckets do not count, half of the time with an existing job's value.
    pub(crate) fn filtered(&mut self, history: &mut History) {
        let jobs: Vec<Job> = history.heads.values().map(|head| head.job.clone()).collect();
        let dice = &mut history.dice;
        let job = (!jobs.is_empty()).then(|| dice.pick(&jobs));
        match dice.roll(6) {
            0 => self.priority = Some(job.map_or(1, |job| job.priority)),
            1 => self.search = Some((*dice.pick(&SEARCHES)).to_owned()),
            2 => self.search = job.map(|job| job.id.to_string().to_uppercase()),
            3 => {
                let external_id = job.and_then(|job| job.external_id.as_ref());
                let external_id = external_id.map_or_else(|| "no such".to_owned(), ToString::to_string);
                if dice.is_one_in(2) {
                    self.search = Some(external_id);
                } else {
                    self.external_id = Some(external_id);
                }
            }
            _ => {
                let label = *dice.pick(&["team", "model", "provider"]);
                let value = job.and_then(|job| job.labels.as_map().get(label)).cloned();
                self.labels.insert(label, value.unwrap_or_else(|| "nobody".to_owned()));
            }
        }
    }

    /// The list of an owner's few jobs with the rare name.
    pub(crate) fn rare(owner: &str, is_asc: bool) -> Self {
        Self { search: Some("NEEDLE".to_owned()), is_asc, ..Self::all(owner) }
    }

    /// A list that buckets count, within dates.
    pub(crate) fn dated(history: &mut History) -> Self {
        let mut asked = Self::by_type_and_status(history);
        asked.within_dates(history);
        asked
    }

    /// Whether it has a filter that buckets do not count.
    pub(crate) fn is_filtered(&self) -> bool {
        !self.labels.is_empty()
            || self.priority.is_some()
            || self.search.is_some()
            || self.external_id.is_some()
    }

    /// Whether the list has this job.
    pub(crate) fn has(&self, job: &Job) -> bool {
        let label = |name: &str| job.labels.as_map().get(name);
        let name = job.name.as_ref().map(|name| name.as_str().to_lowercase()).unwrap_or_default();
        let external_id = job.external_id.as_ref().map(ExternalId::as_str);
        let found = |text: &String| {
            name.contains(&text.to_lowercase())
                || job.id.to_string() == text.to_lowercase()
                || external_id == Some(text.as_str())
        };
        job.owner.as_str() == self.owner
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == job.kind.as_str()))
            && (self.statuses.is_empty() || self.statuses.contains(&job.status()))
            && self.from.as_ref().is_none_or(|from| from.time <= job.created_at)
            && self.to.as_ref().is_none_or(|to| job.created_at <= to.time)
            && self.labels.iter().all(|(name, value)| label(name) == Some(value))
            && self.priority.is_none_or(|priority| priority == job.priority)
            && self.search.as_ref().is_none_or(found)
            && self.external_id.as_ref().is_none_or(|id| external_id == Some(id.as_str()))
    }

    /// The jobs of the list, in order.
    pub(crate) fn rows<'a>(&self, jobs: impl Iterator<Item = &'a Job>) -> Vec<&'a Job> {
        let mut rows: Vec<&Job> = jobs.filter(|job| self.has(job)).collect();
        let number = |job: &Job| match self.sort {
            Some("updated_at") => Some(job.updated_at.millis()),
            Some("completed_at") => job.state.ended().map(|ended| ended.completed_at.millis()),
            Some(_) => Some(i64::from(job.priority)),
            None => None,
        };
        rows.sort_by(|a, b| {
            let (x, y) = (number(a), number(b));
            // A job without this value comes last in either order.
            let missing = x.is_none().cmp(&y.is_none());
            let order = x.cmp(&y).then(a.created_at.cmp(&b.created_at)).then(a.id.cmp(&b.id));
            missing.then(if self.is_asc { order } else { order.reverse() })
        });
        rows
    }

    /// The query of its URL, without page parameters.
    pub(crate) fn text(&self) -> String {
        let mut pairs = vec![("owner", self.owner.clone())];
        if !self.kinds.is_empty() {
            pairs.push(("type", self.kinds.join(",")));
        }
        if !self.statuses.is_empty() {
            let words: Vec<&str> = self.statuses.iter().map(|status| status.as_str()).collect();
            pairs.push(("status", words.join(",")));
        }
        pairs.extend(self.from.iter().map(|from| ("created_after", from.text.clone())));
        pairs.extend(self.to.iter().map(|to| ("to_date", to.text.clone())));
        pairs.extend(self.labels.clone());
        pairs.extend(self.priority.map(|priority| ("priority", priority.to_string())));
        pairs.extend(self.search.iter().map(|search| ("search", search.clone())));
        pairs.extend(self.external_id.iter().map(|id| ("external_id", id.clone())));
        pairs.extend(self.sort.map(|sort| ("sort_by", sort.to_owned())));
        if self.is_asc {
            pairs.push(("sort_order", "asc".to_owned()));
        }
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        pairs.join("&")
    }
}

/// A bound of a range: near a job's time, or at the end of a span with a job.
fn bound(history: &mut History, is_upper: bool) -> Bound {
    let times: Vec<Timestamp> = history.heads.values().map(|head| head.job.created_at).collect();
    let dice = &mut history.dice;
    let time = if times.is_empty() { Timestamp::from_millis(0) } else { *dice.pick(&times) };
    let span = *dice.pick(&SPANS_MS);
    let begin = Timestamp::from_millis(time.millis().div_euclid(span) * span);
    if span == DAY_MS && dice.is_one_in(2) {
        let last = if is_upper { DAY_MS - 1 } else { 0 };
        return Bound { text: begin.to_string()[..10].to_owned(), time: begin.plus_millis(last) };
    }
    let end = if is_upper { begin.plus_millis(span - 1) } else { begin };
    let off = match dice.roll(3) {
        0 => 0,
        1 => *dice.pick(&[-1, 1]),
        _ => *dice.pick(&OFF_MS),
    };
    let time = end.plus_millis(off);
    let text = time.to_string();
    Bound { text: if dice.is_one_in(4) { text.replace('Z', "+00:00") } else { text }, time }
}
