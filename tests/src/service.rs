//! A stack: a test's own, or the shared one.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jobledger::Environment;
use jobledger_local::{DynamoDb, LOCAL_KEY, LOCAL_OWNER, Options, Stack};
use reqwest::redirect::Policy;

use crate::client::Call;
use crate::{clock, shared};

/// Names a running DynamoDB, as `http://host:port`. If absent, each test has its own embedded one.
const ENDPOINT_VARIABLE: &str = "JOBLEDGER_DYNAMODB_ENDPOINT";
/// Longest wait for an event that must happen. Tests never depend on speed: this only ends a test that hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Longest pause between two requests. Without it, a test takes the processor from the functions that it waits for.
const LONGEST_PAUSE_MS: u64 = 20;

/// A running stack, and a client of it.
#[derive(Debug)]
pub struct Service {
    /// The stack.
    pub stack: Arc<Stack>,
    /// The owner for which calls act.
    pub owner: String,
    /// The admin key of that owner.
    pub key: String,
    client: reqwest::Client,
    /// A client that follows no redirect.
    staying: reqwest::Client,
}

impl Service {
    /// Starts a stack as it is deployed.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts a stack with other values for some of the template's parameters.
    pub async fn with(parameters: &[(&str, &str)]) -> Self {
        let parameters =
            parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self::with_options(Options { parameters, ..Self::options() }).await
    }

    /// The environment of a function, over the DynamoDB at this address, such as a proxy's.
    pub fn environment_at(&self, name: &str, endpoint: &str) -> Environment {
        let mut environment = self.stack.environment(name).expect("the function");
        environment.vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), endpoint.to_owned());
        environment
    }

    /// Starts a stack with these options.
    pub async fn with_options(options: Options) -> Self {
        let stack = Stack::start(options, jobledger_functions::all()).await.expect("the stack starts");
        Self::over(Arc::new(stack), LOCAL_OWNER.to_owned(), LOCAL_KEY.to_owned())
    }

    /// The shared stack, with an owner and an admin key that no other test has. A test may use it if it looks only at
    /// its own owner: not at numbers of all owners, tables, clocks or faults.
    pub async fn shared() -> Self {
        let stack = shared::stack();
        let number = Environment::fresh_id().simple();
        let service = Self::over(stack, format!("owner-{number}"), format!("key-{number}"));
        shared::put_key(&service).await;
        service
    }

    fn over(stack: Arc<Stack>, owner: String, key: String) -> Self {
        let staying = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { stack, owner, key, client: reqwest::Client::new(), staying }
    }

    /// Another owner that no other test has.
    pub fn other_owner(&self) -> String {
        format!("other-{}", self.owner)
    }

    /// Stops the stack, which no other value may use.
    pub async fn stop(self) -> jobledger_local::Result<()> {
        Arc::into_inner(self.stack).expect("a stack of its own").stop().await
    }

    /// The options of a test's own stack: the engine that the environment names, else an embedded one.
    #[expect(clippy::disallowed_methods, reason = "the edge: here the tests' environment comes in")]
    pub fn options() -> Options {
        match std::env::var(ENDPOINT_VARIABLE) {
            Ok(endpoint) => Options {
                dynamodb: DynamoDb::Endpoint(endpoint),
                table_prefix: format!("t{}-", Environment::fresh_id().simple()),
                parameters: BTreeMap::new(),
                ..Options::default()
            },
            Err(_) => Options::default(),
        }
    }

    /// A request without a key.
    pub fn anonymous(&self, method: &str, path: &str) -> Call {
        let url = format!("{}{path}", self.stack.url().expect("the stack has an HTTP API"));
        Call::new(&self.client, method, &url)
    }

    /// A request without a key, which follows no redirect.
    pub fn staying(&self, method: &str, path: &str) -> Call {
        let url = format!("{}{path}", self.stack.url().expect("the stack has an HTTP API"));
        Call::new(&self.staying, method, &url)
    }

    /// A request with the admin key of the owner.
    pub fn call(&self, method: &str, path: &str) -> Call {
        self.anonymous(method, path).header("authorization", &format!("Bearer {}", self.key))
    }

    /// `GET` with the admin key.
    pub fn get(&self, path: &str) -> Call {
        self.call("GET", path)
    }

    /// `POST` of a JSON body with the admin key.
    pub fn post(&self, path: &str, body: &serde_json::Value) -> Call {
        self.call("POST", path).json(body)
    }

    /// Waits until all writes are counted.
    pub async fn settled(&self) {
        self.stack.settled(PATIENCE).await.expect("the stream is delivered");
    }

    /// Repeats a question until it has an answer, for at most [`PATIENCE`].
    pub async fn eventually<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        mut ask: impl FnMut() -> F,
    ) -> T {
        let found = tokio::time::timeout(PATIENCE, async {
            let mut pause_ms = 1;
            loop {
                if let Some(found) = ask().await {
                    return found;
                }
                clock::pass(pause_ms).await;
                pause_ms = (2 * pause_ms).min(LONGEST_PAUSE_MS);
            }
        });
        found.await.unwrap_or_else(|_| panic!("{what} did not come"))
    }
}
