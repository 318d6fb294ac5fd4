//! A real Prometheus, or a real `VictoriaMetrics`, that scrapes the service.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::Service;
use crate::workspace::root;

/// If this variable is set, a missing program is an error: `.ci/run` installs all of them.
const ALL_TOOLS: &str = "JOBLEDGER_TEST_TOOLS";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Prometheus.
    Prometheus,
    /// `VictoriaMetrics`.
    VictoriaMetrics,
}

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    url: String,
    _process: Child,
    _folder: TempDir,
}

impl Product {
    const fn program(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }

    fn arguments(self, folder: &Path, address: SocketAddr) -> Vec<String> {
        let folder = folder.display();
        match self {
            Self::Prometheus => vec![
                format!("--config.file={folder}/scrape.yml"),
                format!("--storage.tsdb.path={folder}/data"),
                format!("--web.listen-address={address}"),
                "--log.level=error".to_owned(),
            ],
            Self::VictoriaMetrics => vec![
                format!("-promscrape.config={folder}/scrape.yml"),
                format!("-storageDataPath={folder}/data"),
                format!("-httpListenAddr={address}"),
                "-loggerLevel=ERROR".to_owned(),
                // Otherwise it does not show the newest 30 s.
                "-search.latencyOffset=0s".to_owned(),
            ],
        }
    }
}

/// Whether a missing program is an error.
#[expect(clippy::disallowed_methods, reason = "the edge: here the process's environment comes in")]
pub fn needs_tools() -> bool {
    std::env::var_os(ALL_TOOLS).is_some()
}

impl Server {
    /// Starts a server that scrapes the service each second. `None`: its program is not installed, and need not be.
    pub async fn start(product: Product, service: &Service) -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        let rules = root().join("infra/prometheus");
        let url = service.stack.url().expect("a gateway");
        let target = url.trim_start_matches("http://");
        // VictoriaMetrics refuses rules: vmalert has them.
        let rules = match product {
            Product::Prometheus => {
                format!("rule_files: [{0}/rules.yml, {0}/alerts.yml]\n", rules.display())
            }
            Product::VictoriaMetrics => String::new(),
        };
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s{} }}\n{rules}scrape_configs:\n  - job_name: jobledger\n    static_configs: [{{ targets: [\"{target}\"] }}]\n",
            if rules.is_empty() { "" } else { ", evaluation_interval: 1s" },
        );
        std::fs::write(folder.path().join("scrape.yml"), config).expect("the configuration");
        let address = free_address();
        let process = Command::new(product.program())
            .args(product.arguments(folder.path(), address))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let process = match process {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound && !needs_tools() => return None,
            Err(error) => panic!("{} does not start: {error}", product.program()),
        };
        let server = Self { url: format!("http://{address}"), _process: process, _folder: folder };
        service.eventually("the server", async || server.query("vector(1)").await.ok()).await;
        Some(server)
    }

    /// The answer to a query: the value of each series, by its labels without `job` and `instance`.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or refuses the query.
    pub async fn query(&self, query: &str) -> Result<BTreeMap<String, String>, String> {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let reply = reqwest::get(format!("{}/api/v1/query?query={query}", self.url)).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let answer: Value = reply.json().await.map_err(|error| error.to_string())?;
        if answer["status"] != "success" {
            return Err(answer.to_string());
        }
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        Ok(series.iter().map(|series| (labels(&series["metric"]), value(series))).collect())
    }
}

fn labels(metric: &Value) -> String {
    let apart = ["job", "instance", "__name__"];
    let labels = metric.as_object().into_iter().flatten().filter(|(name, _)| !apart.contains(&name.as_str()));
    labels
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(",")
}

fn value(series: &Value) -> String {
    series["value"][1].as_str().unwrap_or_default().to_owned()
}

/// An address of this machine that nobody listens on.
fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}
