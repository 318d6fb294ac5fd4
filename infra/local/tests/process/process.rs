//! The stack as a process.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use jobledger_local::LOCAL_KEY;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Longest wait for an event that must happen. It only ends a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    client: Client,
}

impl Process {
    /// Starts the stack over this data, on any free port.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(data, "0", &[]).await
    }

    /// Starts the stack over this data, on this port, with more options.
    pub(crate) async fn start_with(data: &Path, port: &str, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jobledger-local"))
            .args(["--port", port, "--data"])
            .arg(data)
            .args(options)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut line = async || {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            line.expect("a line in time").expect("a readable line").expect("a line")
        };
        let url = line().await.strip_prefix("jobledger listens on ").expect("where it listens").to_owned();
        assert!(line().await.contains(LOCAL_KEY));
        Self { child, url, client: Client::new() }
    }

    /// The port of the HTTP API.
    pub(crate) fn port(&self) -> &str {
        self.url.rsplit(':').next().expect("a port")
    }

    /// A request with the local key.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().expect("a method");
        self.client.request(method, format!("{}{path}", self.url)).header("x-api-key", LOCAL_KEY)
    }

    /// The body of a `GET`.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request("GET", path).send().await.expect("an answer");
        response.json().await.expect("JSON")
    }

    pub(crate) async fn list(&self, query: &str) -> Value {
        self.get(&format!("/v1/jobs?{query}")).await
    }

    pub(crate) async fn end(mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await.expect("kill");
        assert!(sent.success());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("its status")
    }
}
