//! The queue: what is read of it, and how a job is taken, held and given back.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValue, Select, TransactWriteItem, Update};

use super::{OLD_ITEM, and, transition};
use crate::domain::{
    Fingerprint, Job, JobId, LeaseToken, MicroDollars, Owner, Progress, ReportedProgress, State, Status,
    Timestamp, TypeName, WorkerId,
};
use crate::store::item::{LATER, fingerprint_text, queue_key_of};
use crate::store::ranges::before;
use crate::store::schema::{
    ID, KIND, LEASE_TOKEN, LEASE_UNTIL, OUTPUT_NAME, PROGRESS, QUEUE, QUEUE_INDEX, SLOT, TYPES,
};
use crate::store::types::type_id;
use crate::store::value::{n, s};
use crate::store::{Corrupt, Tables, progress_value};

/// One part of an owner's queue of a type.
#[derive(Clone, Copy, Debug)]
pub struct Queue<'a> {
    /// Whose.
    pub owner: &'a Owner,
    /// Of what.
    pub kind: &'a TypeName,
    /// Which part.
    pub shard: u16,
}

impl Queue<'_> {
    fn between(self, tables: &Tables, lower: &str, upper: &str, limit: i32) -> QueryInputBuilder {
        QueryInput::builder()
            .table_name(&tables.jobs)
            .index_name(QUEUE_INDEX)
            .key_condition_expression(
                "#owner = :owner AND #type = :type AND #shard = :shard AND #queue BETWEEN :lower AND :upper",
            )
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#type", "type")
            .expression_attribute_names("#shard", "shard")
            .expression_attribute_names("#queue", QUEUE)
            .expression_attribute_values(":owner", s(self.owner))
            .expression_attribute_values(":type", s(self.kind))
            .expression_attribute_values(":shard", n(self.shard))
            .expression_attribute_values(":lower", s(lower))
            .expression_attribute_values(":upper", s(upper))
            .limit(limit)
    }

    /// Reads the first that may go: those whose turn the key tells, then those that have become due since.
    pub fn first(self, tables: &Tables, now: Timestamp, limit: i32) -> QueryInputBuilder {
        self.between(tables, "0", &due_until(now), limit)
    }

    /// Reads those that have become due since their key was written, the first due first.
    pub fn due(self, tables: &Tables, now: Timestamp, limit: i32) -> QueryInputBuilder {
        self.between(tables, LATER, &due_until(now), limit)
    }

    /// Reads where the first one stands that may go, of those whose sort key is this one or greater.
    pub fn first_from(self, tables: &Tables, lower: &str, now: Timestamp) -> QueryInputBuilder {
        self.between(tables, lower, &due_until(now), 1).projection_expression("#queue")
    }
}

/// Counts the jobs that go before this one in a part of its queue, up to `limit` each: those whose keys tell it, and those
/// that became due since their keys were written. Empty: the job does not wait.
pub fn count_ahead(
    tables: &Tables,
    job: &Job,
    shard: u16,
    now: Timestamp,
    limit: i32,
) -> Vec<QueryInputBuilder> {
    let (State::Queued { available_at }, Some(key)) = (&job.state, queue_key_of(job)) else {
        return Vec::new();
    };
    let queue = Queue { owner: &job.owner, kind: &job.kind, shard };
    let mut plans = vec![queue.between(tables, "0", &before(&key), limit)];
    if !key.starts_with(LATER) {
        let goes_first = "priority > :priority OR (priority = :priority AND available_at <= :available_at)";
        let late = queue.due(tables, now, limit).filter_expression(goes_first);
        let late = late.expression_attribute_values(":priority", n(job.priority));
        plans.push(late.expression_attribute_values(":available_at", n(available_at.millis())));
    }
    plans.into_iter().map(|plan| plan.select(Select::Count)).collect()
}

/// The greatest sort key of who is due: `$` follows the `#` that comes before the id.
fn due_until(now: Timestamp) -> String {
    format!("{LATER}{now}$")
}

/// A waiting job, as its row in the queue names it: the guard of what is done to it.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// Whose.
    pub owner: &'a Owner,
    /// Which.
    pub id: JobId,
    /// Its sort key.
    pub queue: &'a str,
    /// How many tries have begun.
    pub attempt: u32,
}

impl Waiting<'_> {
    fn still(self, tables: &Tables) -> UpdateItemInputBuilder {
        let plan = transition(tables, self.owner, self.id, &[Status::Queued]);
        and(plan, "#queue = :seen AND attempt = :attempt")
            .expression_attribute_names("#queue", QUEUE)
            .expression_attribute_values(":seen", s(self.queue))
            .expression_attribute_values(":attempt", n(self.attempt))
    }

    /// Gives the job to a worker, if it still waits there; answers the head as it then is.
    pub fn claim(
        self,
        tables: &Tables,
        worker: &WorkerId,
        token: &LeaseToken,
        now: Timestamp,
    ) -> Result<UpdateItemInputBuilder, Corrupt> {
        let terms = token.terms();
        let slot = if terms.holds_slot { ", #slot = :slot" } else { "" };
        let mut plan = self.still(tables).update_expression(format!(
            "SET #status = :next, started_at = :now, updated_at = :now, attempt = :next_attempt, \
             worker = :worker, #token = :token, #until = :until, #progress = :progress{slot} \
             REMOVE #queue, available_at, phase"
        ));
        if terms.holds_slot {
            plan = plan
                .expression_attribute_names("#slot", SLOT)
                .expression_attribute_values(":slot", AttributeValue::Bool(true));
        }
        Ok(plan
            .expression_attribute_names("#token", LEASE_TOKEN)
            .expression_attribute_names("#until", LEASE_UNTIL)
            .expression_attribute_names("#progress", PROGRESS)
            .expression_attribute_values(":next", s(Status::Running))
            .expression_attribute_values(":next_attempt", n(terms.attempt))
            .expression_attribute_values(":now", n(now.millis()))
            .expression_attribute_values(":worker", s(worker))
            .expression_attribute_values(":token", s(token.as_str()))
            .expression_attribute_values(":until", n(terms.until(now, terms.seconds).millis()))
            .expression_attribute_values(":progress", progress_value(&Progress::default())?)
            .return_values(ReturnValue::AllNew))
    }

    /// Moves a job that has become due to where its priority belongs.
    pub fn move_up(self, tables: &Tables, key: &str) -> UpdateItemInputBuilder {
        self.still(tables).update_expression("SET #queue = :key").expression_attribute_values(":key", s(key))
    }
}

/// What a worker says of a job that it holds.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// Whose job.
    pub owner: &'a Owner,
    /// Which.
    pub id: JobId,
    /// Shows that the worker holds it.
    pub token: &'a LeaseToken,
    /// When it came.
    pub now: Timestamp,
}

impl Report<'_> {
    /// An update that only the holder's lease allows, while it holds.
    fn held(&self, tables: &Tables) -> UpdateItemInputBuilder {
        let plan = transition(tables, self.owner, self.id, &[Status::Running]);
        and(plan, "#token = :token AND #until >= :now")
            .expression_attribute_names("#token", LEASE_TOKEN)
            .expression_attribute_names("#until", LEASE_UNTIL)
            .expression_attribute_values(":token", s(self.token.as_str()))
            .expression_attribute_values(":now", n(self.now.millis()))
            .return_values(ReturnValue::AllNew)
    }

    /// Renews the lease, and says how far the job is: one write, as no index has any of it.
    ///
    /// What is all of it may not fall: then this is refused.
    pub fn renew(&self, tables: &Tables, seconds: u32, said: &ReportedProgress) -> UpdateItemInputBuilder {
        let until = self.token.terms().until(self.now, seconds);
        let mut plan = self.held(tables).expression_attribute_values(":until", n(until.millis()));
        let mut sets = vec!["#until = :until".to_owned()];
        let mut removes = Vec::new();
        if *said != ReportedProgress::default() {
            plan = plan.expression_attribute_names("#progress", PROGRESS);
        }
        if let Some(task) = &said.current_task {
            sets.push("#progress.current_task = :task".to_owned());
            plan = plan.expression_attribute_values(":task", s(task));
            match said.current_task_progress {
                Some(share) => {
                    sets.push("#progress.current_task_hundredths = :share".to_owned());
                    plan = plan.expression_attribute_values(":share", n(share.hundredths()));
                }
                None => removes.push("#progress.current_task_hundredths"),
            }
        }
        if let Some(overall) = said.overall_progress {
            sets.push("#progress.overall_hundredths = :overall".to_owned());
            plan = and(plan, "#progress.overall_hundredths <= :overall")
                .expression_attribute_values(":overall", n(overall.hundredths()));
        }
        let removes =
            if removes.is_empty() { String::new() } else { format!(" REMOVE {}", removes.join(", ")) };
        plan.update_expression(format!("SET {}{removes}", sets.join(", ")))
    }

    /// Ends the job well, if it has no output yet; its own of so many bytes is written before.
    pub fn complete(&self, tables: &Tables, end: &Completion) -> UpdateItemInputBuilder {
        let mut plan = and(self.held(tables), "attribute_not_exists(#output)")
            .expression_attribute_names("#output", OUTPUT_NAME);
        let mut sets = vec![
            "#status = :next, completed_at = :now, updated_at = :now, expires_at = ttl_seconds + :now_seconds, \
             report = :report"
                .to_owned(),
        ];
        if let Some((name, bytes)) = end.output {
            sets.push("#output = :output, #bytes = if_not_exists(#bytes, :none) + :bytes".to_owned());
            plan = plan
                .expression_attribute_names("#bytes", "bytes")
                .expression_attribute_values(":output", s(name))
                .expression_attribute_values(":none", n(0))
                .expression_attribute_values(":bytes", n(bytes));
        }
        if let Some(cost) = end.cost {
            sets.push("cost = :cost".to_owned());
            plan = plan.expression_attribute_values(":cost", n(cost.micros()));
        }
        plan.update_expression(format!("SET {} REMOVE phase, #progress, #until", sets.join(", ")))
            .expression_attribute_names("#progress", PROGRESS)
            .expression_attribute_values(":next", s(Status::Completed))
            .expression_attribute_values(":report", s(fingerprint_text(&end.report)))
            .expression_attribute_values(":now_seconds", n(self.now.seconds_ceil()))
    }
}

/// What comes with a good end.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The name of the output and its bytes as stored.
    pub output: Option<(uuid::Uuid, u64)>,
    /// What the job cost.
    pub cost: Option<MicroDollars>,
    /// The report, hashed.
    pub report: Fingerprint,
}

/// A write of a head, however it is made.
#[derive(Clone, Debug)]
pub enum Write {
    /// Of some of its attributes.
    Update(UpdateItemInputBuilder),
    /// Of all of it.
    Put(PutItemInputBuilder),
}

impl Write {
    fn item(&self) -> Result<TransactWriteItem, BuildError> {
        let item = TransactWriteItem::builder();
        Ok(match self {
            Self::Update(plan) => item.update(
                Update::builder()
                    .set_table_name(plan.get_table_name().clone())
                    .set_key(plan.get_key().clone())
                    .set_update_expression(plan.get_update_expression().clone())
                    .set_condition_expression(plan.get_condition_expression().clone())
                    .set_expression_attribute_names(plan.get_expression_attribute_names().clone())
                    .set_expression_attribute_values(plan.get_expression_attribute_values().clone())
                    .return_values_on_condition_check_failure(OLD_ITEM)
                    .build()?,
            ),
            Self::Put(plan) => item.put(
                Put::builder()
                    .set_table_name(plan.get_table_name().clone())
                    .set_item(plan.get_item().clone())
                    .set_condition_expression(plan.get_condition_expression().clone())
                    .set_expression_attribute_names(plan.get_expression_attribute_names().clone())
                    .set_expression_attribute_values(plan.get_expression_attribute_values().clone())
                    .return_values_on_condition_check_failure(OLD_ITEM)
                    .build()?,
            ),
        }
        .build())
    }
}

/// What a step does to the slots of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Takes one, if one is free.
    Take,
    /// Gives one back.
    Release,
    /// Takes one, free or not: the job runs already.
    Adopt,
}

/// A step and what it does to the slots of its type, both or neither. The first of the two is the job's.
pub fn with_slot(
    tables: &Tables,
    write: &Write,
    owner: &Owner,
    kind: &TypeName,
    slot: Slot,
) -> Result<TransactWriteItemsInputBuilder, BuildError> {
    let slots = Update::builder()
        .table_name(&tables.settings)
        .key(KIND, s(TYPES))
        .key(ID, s(type_id(owner, kind)))
        .update_expression("ADD running :by")
        .expression_attribute_values(":by", n(if slot == Slot::Release { -1 } else { 1 }));
    let slots = match slot {
        Slot::Take => slots.condition_expression(
            "attribute_exists(max_concurrency) AND attribute_not_exists(opens_at) \
             AND (attribute_not_exists(running) OR running < max_concurrency)",
        ),
        Slot::Release | Slot::Adopt => slots,
    };
    let slots = TransactWriteItem::builder().update(slots.build()?).build();
    Ok(TransactWriteItemsInput::builder().set_transact_items(Some(vec![write.item()?, slots])))
}

/// Gives a running job that was claimed without one a slot.
pub fn adopt(tables: &Tables, owner: &Owner, id: JobId) -> UpdateItemInputBuilder {
    let plan = transition(tables, owner, id, &[Status::Running]);
    and(plan, "attribute_exists(#until) AND attribute_not_exists(#slot)")
        .update_expression("SET #slot = :slot")
        .expression_attribute_names("#until", LEASE_UNTIL)
        .expression_attribute_names("#slot", SLOT)
        .expression_attribute_values(":slot", AttributeValue::Bool(true))
}
