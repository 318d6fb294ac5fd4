//! What a function works with: the store, its settings, and the keys it has seen.

use super::keys::KeyRing;
use super::limiter::{self, Limiter};
use super::owners::KnownOwners;
use super::schema::{HEAD, KEYS};
use super::shards::Shards;
use super::ticket::Tickets;
use super::types::Types;
use super::usage::Usage;
use super::{Config, Corrupt, Store, StoreError, Tables, plans};
use crate::domain::{AccessKey, KeyHash, Timestamp};
use crate::http::{Backend, Flush, Freshness, Gate, Problem, RateLimitStatus, Ticket, Used};
use crate::lambda::{Environment, Error};

/// The store, its settings, and the access keys and types that this execution environment has seen.
#[derive(Debug)]
pub struct Ledger {
    /// Where everything is.
    pub store: Store,
    /// What the deployment decided.
    pub config: Config,
    keys: KeyRing,
    tickets: Tickets,
    limiter: Limiter,
    usage: Usage,
    /// Where usage is written down: what that costs goes by time, and is not counted with any call.
    beside: Store,
    pub(super) types: Types,
    pub(super) shards: Shards,
    /// Whom this execution environment knows to be among the owners.
    pub owners: KnownOwners,
    pub(crate) clock: fn() -> Timestamp,
}

/// Where lists and their numbers are read from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What sends.
    pub store: &'a Store,
    /// The names.
    pub tables: &'a Tables,
    /// How many parts of each index may hold jobs.
    pub shards: u16,
}

impl Ledger {
    /// Where lists and their numbers are read from.
    pub async fn source(&self) -> Result<Source<'_>, StoreError> {
        let shards = self.shards_to_read().await?;
        Ok(Source { store: &self.store, tables: &self.config.tables, shards })
    }

    /// Connects, without a first request.
    pub async fn open(environment: &Environment) -> Result<Self, Error> {
        let config = Config::from_vars(&environment.vars)?;
        let (meter, transport) = (environment.meter.clone(), environment.transport.clone());
        let store = Store::connect(config.endpoint.as_ref(), meter, transport).await;
        let beside = store.unmetered();
        let (limiter, usage) = (Limiter::default(), Usage::default());
        let (keys, tickets) = (KeyRing::default(), Tickets::default());
        let (types, shards, owners) = (Types::default(), Shards::default(), KnownOwners::default());
        let clock = environment.clock;
        Ok(Self { store, config, keys, tickets, limiter, usage, beside, types, shards, owners, clock })
    }

    /// How a key stands with its rate, as far as it is stored; `None`: it has no limit.
    pub async fn limit_status_of(
        &self,
        key: &AccessKey,
        now: Timestamp,
    ) -> Result<Option<RateLimitStatus>, StoreError> {
        limiter::look(&self.store, &self.config.tables, key, now).await
    }
}

impl Backend for Ledger {
    type Gate = Self;

    async fn start(environment: &Environment) -> Result<Self, Error> {
        let ledger = Self::open(environment).await?;
        // Opens the connection while nobody waits for it. If it fails, the first request will say so better.
        let warm = ledger.store.get(plans::get_setting(&ledger.config.tables, KEYS, HEAD)).await;
        if let Err(error) = warm {
            tracing::warn!(error = &error as &dyn std::error::Error, "the store did not answer at start");
        }
        if let Some(meter) = &environment.meter {
            meter.take();
        }
        Ok(ledger)
    }

    fn gate(&self) -> &Self {
        self
    }
}

impl Gate for Ledger {
    async fn key(
        &self,
        hash: &KeyHash,
        freshness: Freshness,
        now: Timestamp,
    ) -> Result<Option<AccessKey>, Problem> {
        Ok(self.keys.find(&self.store, &self.config.tables, hash, freshness, now).await?)
    }

    async fn ticket(&self, hash: &KeyHash, now: Timestamp) -> Result<Option<(Ticket, AccessKey)>, Problem> {
        let Self { store, config, keys, tickets, .. } = self;
        let Some(ticket) = tickets.find(store, &config.tables, hash, now).await? else { return Ok(None) };
        // It is over with the key that it was given for.
        let key = keys.called(store, &config.tables, &ticket.key_id, now).await?;
        Ok(key.map(|key| (ticket, key)))
    }

    async fn spend(&self, key: &AccessKey, now: Timestamp) -> Result<Option<RateLimitStatus>, Problem> {
        Ok(self.limiter.spend(&self.store, &self.config.tables, key, now).await?)
    }

    async fn take(&self, key: &AccessKey, calls: u32, now: Timestamp) -> Result<u32, Problem> {
        Ok(self.limiter.take(&self.store, &self.config.tables, key, calls, now).await?)
    }

    fn note(&self, used: &Used<'_>) {
        self.usage.note(used);
    }

    fn remembers(&self) -> bool {
        true
    }

    async fn flush(&self, now: Timestamp, flush: Flush) {
        self.usage.flush(&self.beside, &self.config.tables, now, flush).await;
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Refused(_) | StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl From<Corrupt> for Problem {
    fn from(error: Corrupt) -> Self {
        Self::internal(StoreError::from(error))
    }
}
