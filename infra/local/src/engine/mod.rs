//! DynamoDB on one machine: the embedded engine, or a running one at an endpoint.

mod clients;
mod housekeeping;
mod stream_records;
mod tables;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dynoxide::Database;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use clients::{ACCESS_KEY, Clients, SECRET_KEY};
pub(crate) use housekeeping::keep_house;
pub(crate) use stream_records::Passed;
pub(crate) use tables::create;

use crate::error::{Error, Result};
use crate::net;

/// The database's file in the data directory.
const FILE: &str = "dynamodb.sqlite";
/// How long the engine's last connections have to end.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// How long the data is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Durability {
    /// An acknowledged write outlives the process, however that ends.
    Kept,
    /// The data is removed when the stack ends, so no write waits for the disk.
    Temporary,
}

/// The embedded engine, served over HTTP so that functions use the SDK exactly as on AWS.
pub(crate) struct Engine {
    endpoint: String,
    file: PathBuf,
    database: Database,
    server: JoinHandle<std::result::Result<(), String>>,
    stop: oneshot::Sender<()>,
}

impl Engine {
    /// Opens the database in a directory, and serves it.
    pub(crate) fn start(directory: &Path, durability: Durability, port: u16) -> Result<Self> {
        // In a file always: the index below needs a second connection, which a database in memory does not have.
        let file = directory.join(FILE);
        let Some(path) = file.to_str() else {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path is not UTF-8");
            return Err(Error::Data { path: file, source });
        };
        let database = Database::new(path)
            .map_err(|source| Error::Engine { doing: "opening its file", source: source.into() })?;
        // The engine's only ways to SQLite's `synchronous`: OFF, and NORMAL. With NORMAL, a commit is in the write-ahead
        // log when it returns, which outlives this process; only a power cut takes the last ones back, as a whole. FULL,
        // the default, waits for the disk at each commit: measured, 350 writes a second in place of 1,300.
        let pace = match durability {
            Durability::Kept => database.disable_bulk_loading(),
            Durability::Temporary => database.enable_bulk_loading(),
        };
        pace.map_err(|source| Error::Engine { doing: "setting it up", source: source.into() })?;
        stream_records::index(&file)?;
        let (listener, address) = net::listen(port, "--dynamodb-port")?;
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
            // An error means that the engine itself is gone. Stop just the same.
            let _ = stopped.await;
        }));
        Ok(Self { endpoint: format!("http://{address}"), file, database, server, stop })
    }

    /// The address where it listens.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The handles that housekeeping needs.
    pub(crate) fn parts(&self) -> (Database, PathBuf) {
        (self.database.clone(), self.file.clone())
    }

    /// Stops serving and closes the database.
    pub(crate) async fn stop(self) -> Result<()> {
        let Self { server, stop, database, .. } = self;
        // The server may have ended by itself. Then no task receives the signal.
        let _ = stop.send(());
        let ended = tokio::time::timeout(CLOSE_MAX, server).await;
        drop(database);
        let failed = |source: crate::error::BoxError| Error::Engine { doing: "closing", source };
        match ended {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(message))) => Err(failed(message.into())),
            Ok(Err(join)) => Err(failed(join.into())),
            Err(elapsed) => Err(failed(elapsed.into())),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
