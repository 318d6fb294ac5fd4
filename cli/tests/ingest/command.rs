//! The command as a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longest wait for something that must happen; only ends what hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// The key, which must never be shown.
pub(crate) const KEY: &str = "very-secret-key";

/// The end of a run.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; none if a signal ended the process.
    pub(crate) code: Option<i32>,
    pub(crate) summary: Value,
    pub(crate) errors: String,
}

impl Ended {
    /// Created, updated, unchanged, rejected, in all runs together.
    pub(crate) fn counts(&self) -> [u64; 4] {
        ["created", "updated", "unchanged", "rejected"]
            .map(|name| self.summary[name].as_u64().unwrap_or_else(|| panic!("{self:?}")))
    }

    #[track_caller]
    pub(crate) fn is(&self, code: i32, counts: [u64; 4]) {
        assert_eq!((self.code, self.counts()), (Some(code), counts), "{self:?}");
    }

    /// Whether the command was refused, with these words.
    #[track_caller]
    pub(crate) fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.errors.contains(word), "no {word:?} in {self:?}");
        }
    }
}

/// A source, in a folder of its own.
pub(crate) struct Source {
    _folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Source {
    pub(crate) fn new(content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs");
        let source = Self { _folder: folder, path };
        source.write(content);
        source
    }

    pub(crate) fn write(&self, content: impl AsRef<[u8]>) {
        std::fs::write(&self.path, content).unwrap();
    }

    pub(crate) fn beside(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}.{ending}", self.path.display()))
    }

    /// The rejected jobs: their lines, and the fields with errors.
    pub(crate) fn rejected(&self) -> Vec<(u64, Vec<String>)> {
        let text = std::fs::read_to_string(self.beside("rejected.ndjson")).unwrap_or_default();
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            let errors = line["errors"].as_array().unwrap();
            let fields = errors.iter().map(|error| error["field"].as_str().unwrap().to_owned());
            (line["line"].as_u64().unwrap(), fields.collect())
        };
        text.lines().map(line).collect()
    }

    /// The saved state; null if there is none.
    pub(crate) fn state(&self) -> Value {
        let state = std::fs::read(self.beside("jobledger-ingest.json")).unwrap_or_default();
        serde_json::from_slice(&state).unwrap_or_default()
    }

    /// How many jobs the saved state has as confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.state()["jobs"].as_u64().unwrap_or_default()
    }
}

/// The command before its start.
pub(crate) struct Ingest(Command);

/// The command for this file and this service, with waits of milliseconds.
pub(crate) fn ingest(path: &Path, url: &str) -> Ingest {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobledger"));
    command
        .args(["ingest", "--json", "--first-wait", "1"])
        .arg(path)
        .env("JOBLEDGER_URL", url)
        .env("JOBLEDGER_KEY", KEY)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ingest(command)
}

impl Ingest {
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.0.env("JOBLEDGER_KEY", key);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub(crate) fn start(self) -> Running {
        self.spawn().1
    }

    /// Runs to its end.
    pub(crate) async fn run(self) -> Ended {
        self.start().ended().await
    }

    /// Runs to its end, with this on standard input.
    pub(crate) async fn piped(mut self, input: &[u8]) -> Ended {
        self.0.stdin(Stdio::piped());
        let (stdin, running) = self.spawn();
        let mut stdin = stdin.unwrap();
        stdin.write_all(input).await.unwrap();
        drop(stdin);
        running.ended().await
    }

    fn spawn(mut self) -> (Option<ChildStdin>, Running) {
        let mut child = self.0.spawn().unwrap();
        let told = watch::Sender::new(String::new());
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let telling = told.clone();
        let errors = tokio::spawn(async move {
            let mut buffer = [0; 4_096];
            loop {
                match stderr.read(&mut buffer).await.unwrap() {
                    0 => return,
                    bytes => {
                        let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
                        telling.send_modify(|told| told.push_str(&text));
                    }
                }
            }
        });
        let output = tokio::spawn(async move {
            let mut text = String::new();
            stdout.read_to_string(&mut text).await.unwrap();
            text
        });
        let stdin = child.stdin.take();
        (stdin, Running { child, told, errors, output })
    }
}

/// The command while it runs.
pub(crate) struct Running {
    child: Child,
    /// The output on standard error until now.
    told: watch::Sender<String>,
    errors: JoinHandle<()>,
    output: JoinHandle<String>,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits until the command has written these words.
    pub(crate) async fn says(&self, words: &str) {
        let mut told = self.told.subscribe();
        let said = tokio::time::timeout(PATIENCE, told.wait_for(|told| told.contains(words))).await;
        assert!(said.is_ok(), "{words:?} was not said: {}", *self.told.borrow());
    }

    pub(crate) async fn ended(mut self) -> Ended {
        let ending =
            async { (self.child.wait().await.unwrap(), self.output.await.unwrap(), self.errors.await) };
        let (status, stdout, read) = tokio::time::timeout(PATIENCE, ending).await.expect("its end");
        read.unwrap();
        let errors = self.told.borrow().clone();
        assert!(!stdout.contains(KEY) && !errors.contains(KEY), "{stdout}{errors}");
        let summary = serde_json::from_str(&stdout).unwrap_or_default();
        Ended { code: status.code(), summary, errors }
    }
}
