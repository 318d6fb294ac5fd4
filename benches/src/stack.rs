//! A stack for one size. Its functions run once more beside it, each with a meter.

use std::path::Path;
use std::sync::Arc;

use jobledger::Environment;
use jobledger::meter::{Meter, Spent};
use jobledger_local::{Options, Storage};
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::{Reply, Service};
use tempfile::TempDir;

use crate::clock::Stopwatch;
use crate::error::Error;

/// A stack with its own database.
pub(crate) struct BenchStack {
    pub(crate) service: Service,
    // After the stack, which uses it.
    directory: TempDir,
}

/// A function whose requests to DynamoDB are counted.
pub(crate) struct Metered {
    function: Alone,
    meter: Arc<Meter>,
}

impl BenchStack {
    /// Starts a stack. It opens the database as `cargo run` does: with a page cache of 2 MB, and without a memory map.
    pub(crate) async fn start() -> Result<Self, Error> {
        let directory = tempfile::Builder::new()
            .prefix("jobledger-bench-")
            .tempdir()
            .map_err(|source| Error::File { path: std::env::temp_dir(), source })?;
        let storage = Storage::Directory(directory.path().to_owned());
        let service = Service::with_options(Options { storage, ..Options::default() }).await;
        Ok(Self { service, directory })
    }

    /// The directory of the database.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The function that the template has for a route, such as `GET /v1/jobs`.
    pub(crate) fn function_for(&self, route: &str) -> Option<&str> {
        let functions = &self.service.stack.template().functions;
        let serves = |function: &&jobledger_local::template::Function| {
            let mut targets = function.routes.iter().filter_map(|route| route.target.as_ref());
            targets.any(|target| format!("{} {}", target.method, target.path) == route)
        };
        functions.iter().find(serves).map(|function| function.name.as_str())
    }

    /// Starts a function by itself, on the stack's database.
    pub(crate) async fn metered(&self, name: &str) -> Option<Metered> {
        let meter = Arc::new(Meter::default());
        let environment = self.service.stack.environment(name)?;
        let environment = Environment { meter: Some(Arc::clone(&meter)), ..environment };
        Some(Metered { function: Alone::start(name, environment).await, meter })
    }

    /// Ends the stack, and removes its database.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.service.stop().await?;
        let path = self.directory.path().to_owned();
        self.directory.close().map_err(|source| Error::File { path, source })
    }
}

impl Metered {
    /// Sends a request; returns the answer, its cost, and the microseconds that it took.
    pub(crate) async fn call(&self, request: &Request) -> (Reply, Spent, u64) {
        self.meter.take();
        let watch = Stopwatch::start();
        let reply = self.function.call(request).await;
        let micros = watch.micros();
        (reply, self.meter.take(), micros)
    }
}
