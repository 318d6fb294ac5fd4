//! A stack: one of its own for a test, or the one that tests share.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jobledger::Environment;
use jobledger_local::{DynamoDb, LOCAL_KEY, LOCAL_OWNER, Options, Stack};
use reqwest::redirect::Policy;

use crate::client::Call;
use crate::{clock, shared};

/// Names a DynamoDB that runs already, as `http://host:port`; absent: each test has an embedded one of its own.
const ENDPOINT_VARIABLE: &str = "JOBLEDGER_DYNAMODB_ENDPOINT";
/// Longest wait for something that must happen. Tests never depend on speed: this only ends what hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Longest pause between two questions: tests that ask without pause take the processor from those they wait for.
const LONGEST_PAUSE_MS: u64 = 20;

/// A running stack, and a client of it.
#[derive(Debug)]
pub struct Service {
    /// The stack.
    pub stack: Arc<Stack>,
    /// The owner that calls act for.
    pub owner: String,
    /// The admin key of that owner.
    pub key: String,
    client: reqwest::Client,
    /// The same, but it goes nowhere that it is sent on to.
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

    /// What a function of the template is started with, over the DynamoDB at this address: a proxy's, say.
    pub fn environment_at(&self, name: &str, endpoint: &str) -> Environment {
        let mut environment = self.stack.environment(name).expect("the function");
        environment.vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), endpoint.to_owned());
        environment
    }

    /// Starts a stack so.
    pub async fn with_options(options: Options) -> Self {
        let stack = Stack::start(options, jobledger_functions::all()).await.expect("the stack starts");
        Self::over(Arc::new(stack), LOCAL_OWNER.to_owned(), LOCAL_KEY.to_owned())
    }

    /// The stack that tests share, by an owner and an admin key that no other test has. A test may use it if it looks at
    /// nothing but its own owner: no numbers of all owners, no tables, no clocks, no faults.
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

    /// Another owner, whom no other test has either.
    pub fn other_owner(&self) -> String {
        format!("other-{}", self.owner)
    }

    /// Stops the stack, which nothing else may use.
    pub async fn stop(self) -> jobledger_local::Result<()> {
        Arc::into_inner(self.stack).expect("a stack of its own").stop().await
    }

    /// What a stack for one test is started with: the engine that the environment names, else an embedded one.
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

    /// A request without a key, whose answer is shown also where it leads elsewhere.
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

    /// Waits until all that was written has been counted.
    pub async fn settled(&self) {
        self.stack.settled(PATIENCE).await.expect("the stream is delivered");
    }

    /// Asks again and again until the answer is there, at most [`PATIENCE`].
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
