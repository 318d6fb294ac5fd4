//! The values that routes work with, and the access control that their requests pass.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::access::{
    AccessControl, Error as AccessError, Flush, Freshness, RateLimitStatus, StoredAccess, Ticket, Used,
};
use crate::domain::{AccessKey, KeyHash, Timestamp};
use crate::environment::Environment;
use crate::lambda::Error;
use crate::store::Ledger;

/// The values that functions work with: made once, when the function starts.
pub trait Backend: Debug + Sized + Send + Sync + 'static {
    /// The access control, which knows the callers.
    type Control: AccessControl + 'static;

    /// Makes both.
    fn start(environment: &Environment) -> impl Future<Output = Result<(Self, Self::Control), Error>> + Send;
}

impl Backend for Ledger {
    type Control = StoredAccess;

    async fn start(environment: &Environment) -> Result<(Self, StoredAccess), Error> {
        let ledger = Self::open(environment).await?;
        // While nobody waits for it.
        ledger.warm_up().await;
        if let Some(meter) = &environment.meter {
            meter.take();
        }
        let access = StoredAccess::new(&ledger);
        Ok((ledger, access))
    }
}

impl<B: Backend> Backend for Arc<B> {
    type Control = B::Control;

    async fn start(environment: &Environment) -> Result<(Self, B::Control), Error> {
        let (backend, access) = B::start(environment).await?;
        Ok((Self::new(backend), access))
    }
}

/// The backend of functions that touch nothing. It knows no keys, so its routes must be open.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Backend for Nothing {
    type Control = Self;

    async fn start(_: &Environment) -> Result<(Self, Self), Error> {
        Ok((Self, Self))
    }
}

/// Knows no keys, and lets nobody through but on open routes.
impl AccessControl for Nothing {
    const IS_BARE: bool = true;

    async fn key(&self, _: &KeyHash, _: Freshness, _: Timestamp) -> Result<Option<AccessKey>, AccessError> {
        Ok(None)
    }

    async fn ticket(&self, _: &KeyHash, _: Timestamp) -> Result<Option<(Ticket, AccessKey)>, AccessError> {
        Ok(None)
    }

    async fn spend(&self, _: &AccessKey, _: Timestamp) -> Result<Option<RateLimitStatus>, AccessError> {
        Ok(None)
    }

    async fn take(&self, _: &AccessKey, _: u32, _: Timestamp) -> Result<u32, AccessError> {
        Ok(0)
    }

    fn note(&self, _: &Used<'_>) {}

    fn answered(&self, _: &str, _: u16, _: Duration) {}

    fn remembers(&self) -> bool {
        false
    }

    async fn flush(&self, _: Timestamp, _: Flush) {}
}
