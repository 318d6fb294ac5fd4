//! Access keys: whose they are, and what they allow.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use super::{Invalid, KeyId, Owner, RateLimit, Timestamp};

/// Most types of an owner that a deployment or a key may allow: readers of all types read so many for each owner.
pub const MAX_TYPES_OF_OWNER: u32 = 10_000;

/// A right that a key gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Seeing the owner's jobs and numbers.
    Read,
    /// Creating, changing, cancelling and deleting jobs.
    Write,
    /// Claiming jobs and reporting on them.
    Work,
    /// All of these, also for another owner, and what only admins do.
    Admin,
}

impl Scope {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Work => "work",
            Self::Admin => "admin",
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl TryFrom<String> for Scope {
    type Error = Invalid;

    fn try_from(word: String) -> Result<Self, Invalid> {
        Self::try_from(word.as_str())
    }
}

impl TryFrom<&str> for Scope {
    type Error = Invalid;

    fn try_from(word: &str) -> Result<Self, Invalid> {
        [Self::Read, Self::Write, Self::Work, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == word)
            .ok_or_else(|| Invalid::new("must be read, write, work or admin"))
    }
}

/// An access key, as far as a call needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id; never its text.
    pub key_id: KeyId,
    /// Whose key it is.
    pub owner: Owner,
    /// The scopes that it allows.
    pub scopes: BTreeSet<Scope>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// How many calls it may make; `None`: as many as the API lets through.
    pub rate_limit: Option<RateLimit>,
    /// How many bytes its owner may keep for it to add more; `None`: no end.
    pub storage_quota_bytes: Option<u64>,
    /// How many types its owner may use for it to use a new one; `None`: as many as the deployment says.
    pub max_types: Option<u32>,
}

impl AccessKey {
    /// Whether it allows this.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}
