//! The shared stack: it starts with the first test that uses it, and ends with the process.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use jobledger::domain::KeyHash;
use jobledger_local::template::Template;
use jobledger_local::{Options, Stack, TEMPLATE};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::Service;
use crate::dynamo::Dynamo;

/// Longer than any test runs. No schedule calls a function, so leases end only if a test ends them.
const NEVER: Duration = Duration::from_hours(24);

struct Shared {
    stack: Arc<Stack>,
    /// The runtime of the stack: each test's own runtime ends with the test.
    _runtime: Runtime,
    _cleaner: Child,
}

/// The stack.
pub(crate) fn stack() -> Arc<Stack> {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    // On a new thread, because a test runs in a runtime and cannot start another one.
    let start = || thread::spawn(start).join().expect("the shared stack starts");
    Arc::clone(&SHARED.get_or_init(start).stack)
}

fn start() -> Shared {
    let runtime = Runtime::new().expect("a runtime");
    let template = Template::parse(TEMPLATE, &BTreeMap::new(), "").expect("the template");
    let scheduled = template.functions.into_iter().filter(|function| !function.schedules.is_empty());
    let every = scheduled.map(|function| (function.name, NEVER)).collect();
    let options = Options { every, ..Service::options() };
    let stack =
        runtime.block_on(Stack::start(options, jobledger_functions::all())).expect("the stack starts");
    let cleaner = remove_at_the_end(&stack);
    Shared { stack: Arc::new(stack), _runtime: runtime, _cleaner: cleaner }
}

/// Removes the stack's directory when this process has ended, however it ends: Rust never drops statics.
fn remove_at_the_end(stack: &Stack) -> Child {
    Command::new("sh")
        .args(["-c", "cat; rm -rf \"$1\"", "sh"])
        .arg(stack.data_directory())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

/// Stores the admin key of a new owner.
pub(crate) async fn put_key(service: &Service) {
    let hash = KeyHash::of(&service.key);
    let key = json!({
        "kind": { "S": "keys" }, "id": { "S": hash.key_id().as_str() }, "hash": { "S": hash.as_str() },
        "owner": { "S": service.owner }, "scopes": { "SS": ["admin"] },
    });
    let table = service.stack.environment("get-job").expect("the function").vars["SETTINGS_TABLE"].clone();
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    dynamo.put(&table, key.as_object().expect("an item")).await;
}
