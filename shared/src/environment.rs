//! All that code takes from the world around it: settings, the time, ids and chance.
//!
//! This is the only module that reads the clock, draws chance, or looks at the process's environment variables.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::config::SharedHttpClient;
use uuid::Uuid;

use crate::bell::Bell;
use crate::domain::Timestamp;
use crate::meter::Meter;
use crate::telemetry::Telemetry;

/// All that a function takes from the world around it: settings, the time, chance, and who counts its calls.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The function's environment variables.
    pub vars: BTreeMap<String, String>,
    /// The current time.
    pub clock: fn() -> Timestamp,
    /// Counts requests to DynamoDB and their capacity units, where somebody wants to know.
    pub meter: Option<Arc<Meter>>,
    /// Carries requests to DynamoDB where it is not the network: in a simulation.
    pub transport: Option<SharedHttpClient>,
    /// Wakes claims that wait. Functions of one process share it.
    pub bell: Bell,
    /// The numbers of the function for operators.
    pub telemetry: Arc<Telemetry>,
}

/// The memory of this process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// The part that is in RAM.
    pub resident: u64,
    /// All that it has asked for.
    pub virtual_: u64,
}

thread_local! {
    /// The source of ids on this thread, if it is not chance.
    static IDS: Cell<Option<fn() -> Uuid>> = const { Cell::new(None) };
}

impl Environment {
    /// The process's own environment and the machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the edge: here the process's environment comes in")]
    pub fn of_process() -> Self {
        Self::new(std::env::vars().collect())
    }

    /// These variables and the machine's clock.
    pub fn new(vars: BTreeMap<String, String>) -> Self {
        Self {
            vars,
            clock: system_clock,
            meter: None,
            transport: None,
            bell: Bell::default(),
            telemetry: Arc::default(),
        }
    }

    /// The memory of this process; `None`: the system does not tell, as outside Linux.
    pub fn memory() -> Option<MemoryUse> {
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1_024)
        };
        Some(MemoryUse { resident: bytes("VmRSS:")?, virtual_: bytes("VmSize:")? })
    }

    /// An id that nobody had before; its first 48 bits are the time in milliseconds.
    #[expect(clippy::disallowed_methods, reason = "the edge: here chance comes in")]
    pub fn fresh_id() -> Uuid {
        IDS.get().map_or_else(Uuid::now_v7, |ids| ids())
    }

    /// A number that is left to chance, such as for a turn or the length of a wait. It is no secret.
    pub fn chance() -> u64 {
        Self::fresh_id().as_u64_pair().1
    }

    /// Makes this function give all ids of this thread, and all else that is left to chance, but no secrets. So a
    /// simulation can be repeated.
    pub fn decide_ids(ids: fn() -> Uuid) {
        IDS.set(Some(ids));
    }

    /// An id that nobody can guess: 122 bits of it are chance.
    #[expect(clippy::disallowed_methods, reason = "the edge: here chance comes in")]
    pub fn fresh_secret_id() -> Uuid {
        Uuid::new_v4()
    }

    /// A text that nobody can guess: 64 hexadecimal digits, of which 244 bits are chance.
    #[expect(clippy::disallowed_methods, reason = "the edge: here chance comes in")]
    pub fn fresh_secret() -> String {
        format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
    }
}

/// The machine's clock, cut to milliseconds.
#[expect(clippy::disallowed_methods, reason = "the edge: here the time comes in")]
pub fn system_clock() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}
