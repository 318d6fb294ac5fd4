//! `run-background-tasks`: does the work that goes on after an answer, from the stream of `tasks`.

use jobledger::Function;
use jobledger::background::bulk::Bulk;
use jobledger::background::recount::Recount;
use jobledger::background::{Kind, kind};
use jobledger::stream::background::{Runner, function};

/// The function.
pub const FUNCTION: Function = function::<RunBackgroundTasks>();

/// Does every kind of work that there is.
#[derive(Debug)]
pub struct RunBackgroundTasks;

impl Runner for RunBackgroundTasks {
    const NAME: &'static str = "run-background-tasks";
    const KINDS: &'static [Kind] = &[kind::<Bulk>(), kind::<Recount>()];
}
