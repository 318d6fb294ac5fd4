//! The stack from outside, over a small template and functions of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where and ends")]

mod dynamo;
mod functions;
mod http;
mod restart;
mod streaming;
mod streams;

use std::path::Path;
use std::time::Duration;

use jobledger_local::{Options, Stack, Storage};

const SAMPLE: &str = include_str!("sample.yaml");
/// Far longer than any step here takes.
const LONG: Duration = Duration::from_secs(30);

async fn start() -> Stack {
    Stack::start(Options { template: SAMPLE.to_owned(), ..Options::default() }, functions::all())
        .await
        .unwrap()
}

async fn start_in(directory: &Path) -> Stack {
    let storage = Storage::Directory(directory.to_owned());
    let options = Options { template: SAMPLE.to_owned(), storage, ..Options::default() };
    Stack::start(options, functions::all()).await.unwrap()
}
