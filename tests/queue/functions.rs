//! The functions of a run, each on its own way to the same store.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use jobledger::Environment;
use jobledger::bell::Bell;
use jobledger_local::LOCAL_OWNER;
use jobledger_tests::Reply;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::stream::Dice;
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use crate::clock;
use crate::store::Store;

/// The functions that have one environment each.
const FUNCTIONS: [&str; 9] = [
    "cancel-job",
    "update-job",
    "create-job",
    "delete-job",
    "get-job",
    "ingest-jobs",
    "retry-job",
    "type-settings",
    "reap-leases",
];
/// The environments for claims. Each remembers the jobs that it claimed.
const CLAIMERS: usize = 2;
/// The time after which Lambda ends a call.
const ENDS_IN: Duration = Duration::from_secs(20);

/// The functions, and the store that they share.
pub(crate) struct FunctionSet {
    pub(crate) store: Store,
    functions: BTreeMap<&'static str, Alone>,
    claimers: Vec<Alone>,
    /// One call in this many is cut off; 0: none.
    cut_one_in: Cell<u64>,
    dice: RefCell<Dice>,
}

impl FunctionSet {
    /// New functions on a new store, whose indexes have this many parts.
    pub(crate) async fn start(mut dice: Dice, shards: u16) -> Self {
        let store = Store::start(Dice::new(dice.roll(u64::MAX)));
        let mut vars = store.engine().names().clone();
        vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), "http://store".to_owned());
        vars.insert("INDEX_SHARDS".to_owned(), shards.to_string());
        let bell = Bell::default();
        let environment = |function| Environment {
            bell: bell.clone(),
            clock: clock::now,
            transport: Some(store.way_of(function)),
            ..Environment::new(vars.clone())
        };
        for item in counts() {
            store.engine().call("PutItem", &json!({ "TableName": vars["TALLIES_TABLE"], "Item": item }));
        }
        let mut functions = BTreeMap::new();
        for name in FUNCTIONS {
            functions.insert(name, Alone::start(name, environment(name)).await.ends_in(ENDS_IN));
        }
        let mut claimers = Vec::new();
        for _ in 0..CLAIMERS {
            claimers.push(Alone::start("claim-jobs", environment("claim-jobs")).await.ends_in(ENDS_IN));
        }
        Self { store, functions, claimers, cut_one_in: Cell::new(0), dice: RefCell::new(dice) }
    }

    /// From now on, one call in this many is cut off: its function dies at any point.
    pub(crate) fn cut(&self, one_in: u64) {
        self.cut_one_in.set(one_in);
    }

    /// The function of that name.
    pub(crate) fn function(&self, name: &str) -> &Alone {
        &self.functions[name]
    }

    /// Calls a function; `None`: it was cut off, and its effect is unknown.
    pub(crate) async fn call(&self, name: &str, request: &Request) -> Option<Reply> {
        self.until_cut(self.functions[name].call(request)).await
    }

    /// Calls one of the environments for claims.
    pub(crate) async fn claim(&self, body: &Value) -> Option<Reply> {
        let which = self.dice.borrow_mut().below(CLAIMERS);
        let request = Request::new("POST", "/v1/jobs/claim").body(body.to_string());
        self.until_cut(self.claimers[which].call(&request)).await
    }

    /// Polls a call until it returns or its function dies.
    pub(crate) async fn until_cut<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let one_in = self.cut_one_in.get();
        let most = {
            let mut dice = self.dice.borrow_mut();
            let is_cut = one_in > 0 && dice.is_one_in(one_in);
            if is_cut { Duration::from_millis(dice.roll(400)) } else { ENDS_IN }
        };
        timeout(most, call).await.ok()
    }
}

/// The counts that the reaper needs to find the queues: that there are jobs. This run has no counter.
fn counts() -> Vec<Value> {
    let items = [("*owners", LOCAL_OWNER), ("*", "total@a"), (LOCAL_OWNER, "total")];
    let item = |(scope, bucket)| json!({ "scope": { "S": scope }, "bucket": { "S": bucket }, "alive:running": { "N": "1" } });
    items.into_iter().map(item).collect()
}
