//! Access control over the tables `settings` and `usage`, with what an execution environment remembers of them.

use std::time::Duration;

use super::key_ring::KeyRing;
use super::keys::Keys;
use super::limiter::Limiter;
use super::sum_writer::SumWriter;
use super::tickets::{Tickets, UnknownTickets};
use super::{
    AccessControl, Error, Flush, Freshness, MAX_WAIT_SECONDS, RateLimitStatus, Ticket, Used,
    WAIT_SECONDS_A_CALL,
};
use crate::domain::{AccessKey, KeyHash, RateLimit, Timestamp};
use crate::store::{Ledger, Store, Tables};

/// The keys, tickets and rates that this execution environment has seen, and the usage that it has not written down yet.
#[derive(Debug)]
pub struct StoredAccess {
    store: Store,
    tables: Tables,
    keys: KeyRing,
    tickets: UnknownTickets,
    limiter: Limiter,
    waits: Limiter,
    /// The rate of the calls that waits cost, for every key alike: it bounds how many wait at once.
    places: RateLimit,
    sums: SumWriter,
}

impl StoredAccess {
    /// Over the ledger's connection; nothing is remembered yet.
    pub fn new(ledger: &Ledger) -> Self {
        Self {
            store: ledger.store.clone(),
            tables: ledger.config.tables.clone(),
            keys: KeyRing::default(),
            tickets: UnknownTickets::default(),
            limiter: Limiter::of_calls(),
            waits: Limiter::of_waits(),
            places: RateLimit::of_waits(ledger.config.waits_per_key, WAIT_SECONDS_A_CALL, MAX_WAIT_SECONDS),
            sums: SumWriter::new(ledger),
        }
    }

    fn stored_keys(&self) -> Keys<'_> {
        Keys::new(&self.store, &self.tables)
    }
}

impl AccessControl for StoredAccess {
    async fn key(
        &self,
        hash: &KeyHash,
        freshness: Freshness,
        now: Timestamp,
    ) -> Result<Option<AccessKey>, Error> {
        self.keys.find(self.stored_keys(), hash, freshness, now).await
    }

    async fn ticket(&self, hash: &KeyHash, now: Timestamp) -> Result<Option<(Ticket, AccessKey)>, Error> {
        let tickets = Tickets::new(&self.store, &self.tables);
        let Some(ticket) = self.tickets.find(tickets, hash, now).await? else { return Ok(None) };
        // It is over with the key that it was given for.
        let key = self.keys.called(self.stored_keys(), &ticket.key_id, now).await?;
        Ok(key.map(|key| (ticket, key)))
    }

    async fn spend(&self, key: &AccessKey, now: Timestamp) -> Result<Option<RateLimitStatus>, Error> {
        self.limiter.spend(&self.store, &self.tables, key, now).await
    }

    async fn take(&self, key: &AccessKey, calls: u32, now: Timestamp) -> Result<u32, Error> {
        // The bucket of its waits first: a key without a limit has one, too.
        let places = AccessKey { rate_limit: Some(self.places), ..key.clone() };
        match self.waits.take(&self.store, &self.tables, &places, calls, now).await? {
            0 => Ok(0),
            calls => self.limiter.take(&self.store, &self.tables, key, calls, now).await,
        }
    }

    fn note(&self, used: &Used<'_>) {
        self.sums.note(used);
    }

    fn answered(&self, route: &str, status: u16, took: Duration) {
        self.sums.answered(route, status, took);
    }

    fn remembers(&self) -> bool {
        true
    }

    async fn flush(&self, now: Timestamp, flush: Flush) {
        self.sums.flush(now, flush).await;
    }
}
