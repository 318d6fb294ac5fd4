//! Sums that add up in the execution environment: the usage of each key, which are calls by day, route and status; and the
//! numbers of the function for operators. They are written down once a minute, beside a call, and at the environment's end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};

use super::{Flush, Used};
use crate::domain::{KeyId, Owner, Timestamp, parse_bound_start};
use crate::environment::Environment;
use crate::store::schema::{EXPIRES_AT, OWNER, SPAN};
use crate::store::value::{n, s};
use crate::store::{Ledger, Store, StoreError, Tables, add_to_function};
use crate::telemetry::Telemetry;

/// Begins the sort key of a day; the rest is the day and the key.
pub(super) const DAY: &str = "day#";
/// Begins the name of an attribute that counts calls; the rest is the status and the route.
pub(super) const CALLS: &str = "calls:";
/// How long a day is kept, in hours: 400 days, so that each month can be held against that of the year before.
const KEPT_HOURS: i64 = 400 * 24;
/// How much time passes between two writes, in milliseconds: so much is lost where an environment ends without notice.
const FLUSH_EVERY_MS: u64 = 60_000;
/// Longest that a call is held up by writing down earlier ones; Lambda gives as long at the end of an environment.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(450);
/// Most days and keys of one write: a transaction takes 100 items, and one is the function's own.
const MAX_ITEMS: usize = 99;
/// Most days and keys that wait to be written.
const MAX_WAITING: usize = 2_000;
/// How long DynamoDB knows a transaction again, in milliseconds, less a margin: so long one may be sent again whose answer
/// was lost.
const REMEMBERED_MS: u64 = 9 * 60_000;

/// Sums that are not written down yet.
#[derive(Debug)]
pub struct SumWriter {
    /// The store that sums are written to. The cost of these writes goes by time, and is not counted with any call.
    store: Store,
    tables: Tables,
    telemetry: Arc<Telemetry>,
    state: Mutex<State>,
    /// Held by who writes down.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Counts,
    since: Option<Timestamp>,
    /// The sums that were sent, and may be written down or not.
    sent: Option<Sent>,
}

type Counts = BTreeMap<(Owner, Span), BTreeMap<String, u64>>;

/// A day of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) day: String,
    pub(super) key_id: KeyId,
}

impl Span {
    pub(super) fn sort_key(&self) -> String {
        format!("{DAY}{}#{}", self.day, self.key_id)
    }

    /// When it leaves the table, in seconds since 1970.
    fn gone_at(&self) -> i64 {
        let begin = parse_bound_start(&self.day).unwrap_or(Timestamp::MAX);
        begin.plus_hours(KEPT_HOURS).seconds_ceil()
    }
}

#[derive(Clone, Debug)]
struct Sent {
    /// Built once: under one token the same has to come, to the order of its names.
    plan: TransactWriteItemsInputBuilder,
    calls: u64,
    first_at: Timestamp,
    tried_at: Timestamp,
}

impl SumWriter {
    /// Writes down the numbers of the function, and the usage that is noted, over the ledger's connection.
    pub fn new(ledger: &Ledger) -> Self {
        Self {
            store: ledger.store.unmetered(),
            tables: ledger.config.tables.clone(),
            telemetry: Arc::clone(&ledger.telemetry),
            state: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Notes a call that was answered, for operators.
    pub(super) fn answered(&self, route: &str, status: u16, took: Duration) {
        self.telemetry.answered(route, status, took);
    }

    /// Notes a call that was answered.
    pub(super) fn note(&self, used: &Used<'_>) {
        let mut state = self.lock();
        let span = Span { day: used.now.day(), key_id: used.key_id.clone() };
        let place = (used.owner.clone(), span);
        if state.waiting.len() >= MAX_WAITING && !state.waiting.contains_key(&place) {
            tracing::warn!(key_id = %used.key_id, "a call is missing from the usage: too many keys wait");
            return;
        }
        let name = format!("{CALLS}{}:{}", used.status, used.route);
        *state.waiting.entry(place).or_default().entry(name).or_default() += 1;
        state.since.get_or_insert(used.now);
    }

    /// Writes down the sums that wait, if it is time. If the write fails, they wait on: nobody's call fails for it.
    pub async fn flush(&self, now: Timestamp, flush: Flush) {
        let writing = async {
            let _writing = match flush {
                Flush::Due => match self.writing.try_lock() {
                    Ok(writing) => writing,
                    Err(_another_does) => return Ok(()),
                },
                Flush::All => self.writing.lock().await,
            };
            while let Some(plan) = self.next(now, flush)? {
                self.store.transact(plan).await?;
                self.lock().sent = None;
            }
            Ok::<(), StoreError>(())
        };
        let error = match tokio::time::timeout(FLUSH_TIMEOUT, writing).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(elapsed) => StoreError::Unavailable(elapsed.into()),
        };
        tracing::warn!(error = &error as &dyn std::error::Error, "sums were not written down; they wait");
    }

    /// The sums to send: those that were sent before and not answered, else the next of those that wait.
    fn next(
        &self,
        now: Timestamp,
        flush: Flush,
    ) -> Result<Option<TransactWriteItemsInputBuilder>, StoreError> {
        let mut state = self.lock();
        let is_due = |since: Timestamp| match flush {
            // A clock that went back makes no age, and must not keep all waiting.
            Flush::Due => now.since(since) >= FLUSH_EVERY_MS || now < since,
            Flush::All => true,
        };
        if let Some(sent) = &mut state.sent {
            if now.since(sent.first_at) < REMEMBERED_MS {
                // A store that does not answer must not hold up every call.
                if !is_due(sent.tried_at) {
                    return Ok(None);
                }
                sent.tried_at = now;
                return Ok(Some(sent.plan.clone()));
            }
            // It may be written down or not. Nobody shall be told of more calls than were made.
            tracing::error!(
                calls = sent.calls,
                "calls may be missing from the usage and the metrics: the store did not answer for minutes"
            );
            state.sent = None;
        }
        if !self.telemetry.is_empty() {
            state.since.get_or_insert(now);
        }
        if !state.since.is_some_and(is_due) {
            return Ok(None);
        }
        let rest = state.waiting.keys().nth(MAX_ITEMS).cloned();
        let rest = rest.map(|first| state.waiting.split_off(&first)).unwrap_or_default();
        let counts = std::mem::replace(&mut state.waiting, rest);
        if state.waiting.is_empty() {
            state.since = None;
        }
        let plan = self.plan(&counts, now).map_err(|error| StoreError::Refused(error.into()))?;
        let calls = counts.values().flat_map(BTreeMap::values).sum();
        state.sent = Some(Sent { plan: plan.clone(), calls, first_at: now, tried_at: now });
        Ok(Some(plan))
    }

    /// A transaction although nothing depends on anything: only those are known again when they come twice.
    fn plan(&self, counts: &Counts, now: Timestamp) -> Result<TransactWriteItemsInputBuilder, BuildError> {
        let tables = &self.tables;
        let used = counts.iter().map(|((owner, span), calls)| add(tables, owner, span, calls));
        let numbers = self.telemetry.take();
        let function = self.telemetry.function().filter(|_| !numbers.is_empty());
        let own = function.map(|name| add_to_function(tables, name, &numbers, Environment::memory(), now));
        let items = used.chain(own);
        let items = items.map(|item| item.map(|item| TransactWriteItem::builder().update(item).build()));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let plan = TransactWriteItemsInput::builder().set_transact_items(Some(items));
        Ok(plan.client_request_token(Environment::fresh_secret_id().to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(
    tables: &Tables,
    owner: &Owner,
    span: &Span,
    calls: &BTreeMap<String, u64>,
) -> Result<Update, BuildError> {
    let mut item = Update::builder()
        .table_name(&tables.usage)
        .key(OWNER, s(owner))
        .key(SPAN, s(span.sort_key()))
        .expression_attribute_names("#end", EXPIRES_AT)
        .expression_attribute_values(":end", n(span.gone_at()));
    let mut terms = Vec::new();
    for (index, (name, by)) in calls.iter().enumerate() {
        terms.push(format!("#{index} :{index}"));
        item = item
            .expression_attribute_names(format!("#{index}"), name)
            .expression_attribute_values(format!(":{index}"), n(by));
    }
    item.update_expression(format!("SET #end = :end ADD {}", terms.join(", "))).build()
}
