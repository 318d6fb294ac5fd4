//! The values that a function works with: the store, its settings, and the memory of types, shards and owners.

use std::sync::Arc;

use super::owners::KnownOwners;
use super::schema::{HEAD, KEYS};
use super::shards::Shards;
use super::types::KnownTypes;
use super::{Config, ConfigError, Memory, Store, StoreError, Tables, plans};
use crate::bell::Bell;
use crate::domain::{Owner, Timestamp, TypeName};
use crate::environment::Environment;
use crate::telemetry::Telemetry;

/// The store, its settings, and the types that this execution environment has seen.
#[derive(Debug)]
pub struct Ledger {
    /// The store of all data.
    pub store: Store,
    /// The settings of the deployment.
    pub config: Config,
    pub(super) known_types: KnownTypes,
    /// The types that this execution environment knows to have places.
    pub(crate) known_names: Memory<(Owner, TypeName), ()>,
    /// The owners that had no place left, and how many types they used.
    pub(crate) full_owners: Memory<Owner, u32>,
    /// Held while a place is taken: two at once would only hinder each other.
    pub(crate) registering: tokio::sync::Mutex<()>,
    pub(super) shards: Shards,
    /// Whom this execution environment knows to be among the owners.
    pub owners: KnownOwners,
    /// Wakes claims that wait in this process.
    pub bell: Bell,
    /// The numbers of the function for operators.
    pub telemetry: Arc<Telemetry>,
    pub(crate) clock: fn() -> Timestamp,
}

/// The source that lists and their numbers are read from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The store that sends.
    pub store: &'a Store,
    /// The names.
    pub tables: &'a Tables,
    /// How many parts of each index may hold jobs.
    pub shards: u16,
}

impl Ledger {
    /// The source that lists and their numbers are read from.
    pub async fn source(&self) -> Result<Source<'_>, StoreError> {
        let shards = self.shards_to_read().await?;
        Ok(Source { store: &self.store, tables: &self.config.tables, shards })
    }

    /// Connects, without a first request.
    pub async fn open(environment: &Environment) -> Result<Self, ConfigError> {
        let config = Config::from_vars(&environment.vars)?;
        let (meter, transport) = (environment.meter.clone(), environment.transport.clone());
        let store = Store::connect(config.endpoint.as_ref(), meter, transport).await;
        let store = store.observed(Arc::clone(&environment.telemetry));
        let (known_types, shards, owners) =
            (KnownTypes::default(), Shards::default(), KnownOwners::default());
        let bell = environment.bell.clone();
        Ok(Self {
            store,
            config,
            known_types,
            known_names: Memory::default(),
            full_owners: Memory::default(),
            registering: tokio::sync::Mutex::default(),
            shards,
            owners,
            bell,
            telemetry: Arc::clone(&environment.telemetry),
            clock: environment.clock,
        })
    }

    /// Opens the connection before a first request needs it. If this fails, the first request will say so better.
    pub async fn warm_up(&self) {
        let warm = self.store.get(plans::get_setting(&self.config.tables, KEYS, HEAD)).await;
        if let Err(error) = warm {
            tracing::warn!(error = &error as &dyn std::error::Error, "the store did not answer at start");
        }
    }
}
