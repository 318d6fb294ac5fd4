//! The two text formats that Prometheus reads.

use std::fmt::{self, Write as _};

use lambda_http::http::HeaderMap;
use lambda_http::http::header::ACCEPT;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// How a scrape is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that the caller likes best; of equals, the one that it names first. If the caller names none, it gets
    /// Prometheus text.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut best = (Self::Prometheus, 0);
        for part in accept.split(',') {
            let mut parameters = part.split(';').map(str::trim);
            let format = match parameters.next() {
                Some("application/openmetrics-text") => Self::OpenMetrics,
                Some("text/plain" | "text/*") => Self::Prometheus,
                Some(_) | None => continue,
            };
            let quality =
                parameters.find_map(|parameter| parameter.strip_prefix("q=")).map_or(1_000, thousandths);
            if quality > best.1 {
                best = (format, quality);
            }
        }
        best.0
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    pub(crate) fn write(self, families: impl Collector) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(families));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        match self {
            Self::OpenMetrics => Ok(text),
            Self::Prometheus => older(&text),
        }
    }
}

/// A quality value (RFC 9110) in thousandths; a text that is none counts as 0.
fn thousandths(quality: &str) -> u32 {
    let (whole, places) = quality.split_once('.').unwrap_or((quality, ""));
    let places: String = places.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u32>().ok().zip(places.parse::<u32>().ok()).map_or(0, |(whole, rest)| whole * 1_000 + rest)
}

/// The same in Prometheus text 0.0.4, which names a counter's family as its samples are named, and has no unit or end.
fn older(open_metrics: &str) -> Result<String, fmt::Error> {
    let is_counter = |name: &str| open_metrics.contains(&format!("# TYPE {name} counter\n"));
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("UNIT" | "EOF"), _, _) => {}
            (Some("#"), Some(what), Some(name), Some(rest)) if is_counter(name) => {
                writeln!(text, "# {what} {name}_total {rest}")?;
            }
            _ => writeln!(text, "{line}")?,
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, expect: Format) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        assert_eq!(Format::wanted(&headers), expect, "{accept}");
    }

    #[test]
    fn the_caller_chooses_the_format() {
        check("*/*", Format::Prometheus);
        check("text/plain", Format::Prometheus);
        check("application/openmetrics-text", Format::OpenMetrics);
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        );
        check("application/openmetrics-text;q=0.2,text/plain;q=0.7", Format::Prometheus);
        check("application/openmetrics-text;q=0", Format::Prometheus);
    }

    #[test]
    fn counters_are_named_as_each_format_wants() {
        let text = "# HELP a_b Some help.\n# TYPE a_b counter\na_b_total 1\n# HELP g_seconds G.\n\
                    # TYPE g_seconds gauge\n# UNIT g_seconds seconds\ng_seconds 2\n# EOF\n";
        assert_eq!(
            older(text).unwrap(),
            "# HELP a_b_total Some help.\n# TYPE a_b_total counter\na_b_total 1\n# HELP g_seconds G.\n\
             # TYPE g_seconds gauge\ng_seconds 2\n"
        );
    }
}
