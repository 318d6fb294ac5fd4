//! The samples of a scrape of `/metrics`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::Service;

/// The samples of a scrape, by their series: `jobledger_jobs{type="a",status="queued"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples(BTreeMap<String, String>);

impl Samples {
    /// Scrapes the metrics.
    pub async fn scrape(service: &Service) -> Self {
        Self::parse(&service.anonymous("GET", "/metrics").expect(200).await.text)
    }

    /// Reads the text of a scrape.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.map(|line| line.rsplit_once(' ').expect("a sample"));
        let mut samples = BTreeMap::new();
        for (series, value) in pairs {
            let twice = samples.insert(series.to_owned(), value.to_owned());
            assert_eq!(twice, None, "{series} is there twice");
        }
        Self(samples)
    }

    /// The value of a series, as text.
    #[track_caller]
    pub fn get(&self, series: &str) -> &str {
        self.0.get(series).unwrap_or_else(|| panic!("{series} is not in {:#?}", self.0))
    }

    /// The value of a series that is a whole number.
    #[track_caller]
    pub fn count(&self, series: &str) -> u64 {
        self.get(series).parse().unwrap_or_else(|error| panic!("{series}: {error}"))
    }

    /// The value of a series in seconds, as milliseconds.
    #[track_caller]
    pub fn millis(&self, series: &str) -> u64 {
        let text = self.get(series);
        let (seconds, places) = text.split_once('.').unwrap_or((text, "0"));
        assert!(places.len() <= 3, "{series} {text}");
        seconds.parse::<u64>().expect("seconds") * 1_000
            + format!("{places:0<3}").parse::<u64>().expect("places")
    }

    /// Expects this value.
    #[track_caller]
    pub fn check(&self, series: &str, expect: &str) {
        assert_eq!(self.get(series), expect, "{series}");
    }

    /// The series whose names have this prefix, with their values.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = self.0.iter().map(|(series, value)| (series.as_str(), value.as_str()));
        own.filter(move |(series, _)| series.starts_with(name))
    }

    /// A rule for every scrape with all counted: for each type, created less removed jobs are there now.
    pub fn balance(&self) {
        for (series, created) in self.of("jobledger_jobs_created_total") {
            let labels =
                series.strip_prefix("jobledger_jobs_created_total{").expect("labels").trim_end_matches('}');
            let alive: u64 = self
                .of(&format!("jobledger_jobs{{{labels},"))
                .map(|(_, value)| value.parse::<u64>().expect("a number"))
                .sum();
            let removed = self.count(&format!("jobledger_jobs_removed_total{{{labels}}}"));
            assert_eq!(created.parse::<u64>().expect("a number"), alive + removed, "{labels}");
        }
    }
}

/// If `promtool` is installed, checks a scrape with it.
pub async fn is_well_formed(service: &Service) {
    let text = service.anonymous("GET", "/metrics").expect(200).await.text;
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut tool = match tool {
        Ok(tool) => tool,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => panic!("promtool does not start: {error}"),
    };
    let mut input = tool.stdin.take().expect("its input");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = tool.wait_with_output().expect("it ends");
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
