//! `run-tasks`: does the work that goes on after an answer, from the stream of `tasks`.

use jobledger::Function;
use jobledger::bulk::Bulk;
use jobledger::recount::Recount;
use jobledger::tasks::{Kind, Runner, function, kind};

/// The function.
pub const FUNCTION: Function = function::<RunTasks>();

/// Does every kind of work that there is.
#[derive(Debug)]
pub struct RunTasks;

impl Runner for RunTasks {
    const NAME: &'static str = "run-tasks";
    const KINDS: &'static [Kind] = &[kind::<Bulk>(), kind::<Recount>()];
}
