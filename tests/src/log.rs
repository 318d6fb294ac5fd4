//! The lines that functions log.

use std::io::Write;
use std::sync::{Arc, Mutex};

use jobledger::audit::Audit;
use jobledger::domain::Owner;
use lambda_runtime::tracing::subscriber::fmt;
use lambda_runtime::tracing::subscriber::util::SubscriberInitExt;
use serde_json::Value;

use crate::Service;

/// All lines that functions log in this test, as Lambda would get them. A test has one thread, and this sees the lines
/// of no other thread.
#[derive(Clone, Debug, Default)]
pub struct LogLines(Arc<Mutex<Vec<u8>>>);

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl LogLines {
    /// Records the lines while the guard lives.
    pub async fn listen(service: &Service) -> (Self, impl Drop) {
        // If another thread logs a line for the first time just now, this could miss lines of that kind. So each kind
        // is logged once before.
        service.get("/v1/jobs").expect(200).await;
        service.get("/v1/jobs?limit=0").expect(422).await;
        let owner = Owner::try_from("nobody").expect("an owner");
        let (detail, key_id, key_owner, request_id) = (None, None, None, None);
        Audit {
            action: "listen",
            subject: "",
            owner: Some(&owner),
            detail,
            key_id,
            key_owner,
            request_id,
            source_ip: None,
        }
        .log();
        let log = Self::default();
        let writer = log.clone();
        // As `lambda::run` sets it up for the JSON format, which the template chooses.
        let subscriber =
            fmt().with_target(false).without_time().with_writer(move || writer.clone()).json().finish();
        (log, subscriber.set_default())
    }

    /// All of it as text.
    pub fn all(&self) -> String {
        String::from_utf8(self.0.lock().expect("nobody panicked").clone()).expect("text")
    }

    /// The fields of each line.
    pub fn lines(&self) -> Vec<Value> {
        let line = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["fields"].take();
        self.all().lines().map(line).collect()
    }

    /// The lines of the audit.
    pub fn audit(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line.get("audit").is_some()).collect()
    }
}
