//! Pages: which part of a list a caller asks for, and how it is answered.

use percent_encoding::utf8_percent_encode;
use serde::Serialize;

use super::{Answer, FieldError, JobView, Problem};
use crate::domain::{Invalid, Job, Owner, QueryString, RESERVED, Timestamp};
use crate::lists::{ListError, MAX_MATCHES, Total};

/// Most jobs of a page that is asked for by `limit`.
const MAX_LIMIT: u32 = 100;
/// Jobs of a page when nobody says how many.
const DEFAULT_LIMIT: u32 = 50;
/// Most jobs of a page that is asked for by `per_page`.
const MAX_PER_PAGE: u32 = 500;
/// Jobs of such a page when nobody says how many.
const DEFAULT_PER_PAGE: u32 = 100;
/// Deepest offset: beyond any list, and far from overflow.
const MAX_OFFSET: u64 = 1_000_000_000_000;

/// Which part of a list: one of three families of words, never two at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// `limit` with `cursor`: the text of the cursor is checked against the list.
    Cursor {
        /// Rows at most.
        limit: u32,
        /// The place where the list goes on.
        cursor: String,
    },
    /// `limit` with `offset`, or neither: from the beginning.
    Offset {
        /// Rows at most.
        limit: u32,
        /// Rows to pass over.
        offset: u64,
    },
    /// `page` with `per_page`.
    Page {
        /// 1 for the first.
        page: u64,
        /// Rows at most.
        per_page: u32,
    },
}

impl Window {
    /// Reads the words of all three families; two at once are refused.
    pub fn parse(query: &mut QueryString) -> Option<Self> {
        let number = |max: u64, min: u64| {
            move |text: &str| {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let value = text.parse::<u64>().ok().filter(|value| digits && (min..=max).contains(value));
                value.ok_or_else(|| Invalid(format!("must be a whole number from {min} to {max}")))
            }
        };
        let limit = query.optional("limit", number(MAX_LIMIT.into(), 1));
        let cursor = query.take("cursor");
        let offset = query.either("offset", "skip", number(MAX_OFFSET, 0));
        let page = query.optional("page", number(MAX_OFFSET / u64::from(MAX_PER_PAGE), 1));
        let per_page = query.optional("per_page", number(MAX_PER_PAGE.into(), 1));
        let small = |value: Option<u64>, default: u32| value.map_or(Some(default), |v| u32::try_from(v).ok());
        if page.is_some() || per_page.is_some() {
            if limit.is_some() || cursor.is_some() || offset.is_some() {
                query.refuse("page", Invalid::new("cannot be mixed with limit, cursor or offset"));
                return None;
            }
            let per_page = small(per_page, DEFAULT_PER_PAGE)?;
            return Some(Self::Page { page: page.unwrap_or(1), per_page });
        }
        let limit = small(limit, DEFAULT_LIMIT)?;
        match (cursor, offset) {
            (Some(_), Some(_)) => {
                query.refuse("cursor", Invalid::new("cannot be mixed with offset"));
                None
            }
            (Some(cursor), None) => Some(Self::Cursor { limit, cursor }),
            (None, offset) => Some(Self::Offset { limit, offset: offset.unwrap_or(0) }),
        }
    }

    /// Rows at most.
    pub fn limit(&self) -> u32 {
        match self {
            Self::Cursor { limit, .. } | Self::Offset { limit, .. } => *limit,
            Self::Page { per_page, .. } => *per_page,
        }
    }

    /// Rows to pass over; `None`: a cursor says where to go on.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Cursor { .. } => None,
            Self::Offset { offset, .. } => Some(*offset),
            Self::Page { page, per_page } => Some((page - 1) * u64::from(*per_page)),
        }
    }

    /// The problem of a list that is not answered. It names the parameter that the caller sent.
    pub fn problem(&self, error: ListError) -> Problem {
        match (self, &error) {
            (Self::Page { .. }, ListError::DeepOffset) => {
                let message = format!(
                    "must begin within the first {MAX_MATCHES} jobs with these filters; follow next_cursor instead"
                );
                Problem::invalid_query(vec![FieldError::new("page", Invalid(message))])
            }
            _ => error.into(),
        }
    }
}

/// Reads how many entries an answer may have: from 1 to so many.
pub fn limit(most: usize) -> impl Fn(&str) -> Result<usize, Invalid> {
    move |text| {
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| Invalid(format!("must be a whole number from 1 to {most}")))
    }
}

/// A part of a list, ready to be answered.
#[derive(Debug)]
pub struct Page<'a> {
    /// The part of the list that was asked for.
    pub window: &'a Window,
    /// The jobs.
    pub jobs: &'a [Job],
    /// How many the whole list has.
    pub total: Total,
    /// The cursor after the last one, where more follow.
    pub next_cursor: Option<String>,
    /// The owner that the request named, where it named one.
    pub acts_for: Option<&'a Owner>,
}

#[derive(Serialize)]
struct Body<'a> {
    jobs: Vec<JobView<'a>>,
    total: u64,
    total_kind: &'static str,
    limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    has_more: bool,
    next_cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_page: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_pages: Option<u64>,
}

impl Page<'_> {
    /// The answer, with a link to the next page of the same family.
    pub fn answer(&self, path: &str, query: &[(String, String)], now: Timestamp) -> Answer {
        let (page, per_page) = match self.window {
            Window::Page { page, per_page } => (Some(*page), Some(*per_page)),
            Window::Cursor { .. } | Window::Offset { .. } => (None, None),
        };
        let body = Body {
            jobs: self.jobs.iter().map(|job| JobView::new(job, now)).collect(),
            total: self.total.count,
            total_kind: self.total.kind(),
            limit: self.window.limit(),
            offset: self.window.offset(),
            has_more: self.next_cursor.is_some(),
            next_cursor: self.next_cursor.as_deref(),
            page,
            per_page,
            total_pages: per_page.map(|size| self.total.count.div_ceil(size.into())),
        };
        let answer = Answer::ok(&body);
        match self.next_link(path, query) {
            Some(link) => answer.with("link", format!("<{link}>; rel=\"next\"")),
            None => answer,
        }
    }

    fn next_link(&self, path: &str, query: &[(String, String)]) -> Option<String> {
        let cursor = self.next_cursor.as_deref()?;
        let is_full = self.jobs.len() == usize::try_from(self.window.limit()).unwrap_or(usize::MAX);
        let (name, value) = match self.window {
            Window::Cursor { .. } | Window::Offset { offset: 0, .. } => ("cursor", cursor.to_owned()),
            // Of a list that was too long to look through, only the cursor tells how far it was.
            Window::Offset { .. } if !is_full => ("cursor", cursor.to_owned()),
            Window::Offset { offset, limit } => ("offset", (offset + u64::from(*limit)).to_string()),
            Window::Page { page, .. } => ("page", (page + 1).to_string()),
        };
        let kept =
            query.iter().filter(|(given, _)| !["cursor", "offset", "skip", "page"].contains(&given.as_str()));
        let kept = kept.map(|(given, value)| (given.as_str(), value.as_str()));
        let owner = self.acts_for.map(|owner| ("owner", owner.as_str()));
        let pairs: Vec<String> = kept
            .chain(owner)
            .chain([(name, value.as_str())])
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        Some(format!("{path}?{}", pairs.join("&")))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expect: Option<&Window>) {
        let mut query = QueryString::new(pairs.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())));
        let window = Window::parse(&mut query);
        assert_eq!(query.finish(window).ok().as_ref(), expect, "{pairs:?}");
    }

    #[test]
    fn one_family_at_a_time() {
        check(&[], Some(&Window::Offset { limit: 50, offset: 0 }));
        check(&[("limit", "7"), ("skip", "3")], Some(&Window::Offset { limit: 7, offset: 3 }));
        check(&[("cursor", "x")], Some(&Window::Cursor { limit: 50, cursor: "x".into() }));
        check(&[("page", "2")], Some(&Window::Page { page: 2, per_page: 100 }));
        check(&[("page", "2"), ("limit", "5")], None);
        check(&[("cursor", "x"), ("offset", "0")], None);
        check(&[("offset", "1"), ("skip", "1")], None);
    }

    #[test]
    fn sizes_have_bounds() {
        for (name, value) in [
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "x"),
            ("offset", "-1"),
            ("page", "0"),
            ("per_page", "501"),
        ] {
            check(&[(name, value)], None);
        }
    }
}
