//! The names of what is stored. `template.yaml` declares the same; a test compares the two.

/// `jobs`: partition key.
pub const JOB_ID: &str = "job_id";
/// `jobs`: sort key: which part of a job an item is.
pub const PART: &str = "part";
/// The part that lists and transitions need; it decides whether a job exists.
pub const HEAD: &str = "head";
/// Begins the name of the part that holds payload and metadata; the rest tells creations apart.
pub const INPUT: &str = "input#";
/// Begins the name of the part that holds results.
pub const OUTPUT: &str = "output#";
/// Begins the name of the part that holds a try that ended; the rest is its number.
pub const TRY: &str = "try#";
/// The part that keeps an idempotency key: one item, so that one write decides whether the key stands for a request with
/// an `external_id` or for one without.
pub const KEY: &str = "key";
/// Job id and part of the item that the scrape writes to see how far the counters lag.
pub const PROBE: &str = "probe";

/// Job id and part of the item that says which service this is.
pub const SERVICE: &str = "service";

/// Attribute of a head that says how far its job is. No index has it: the worker on a job changes it often.
pub const PROGRESS: &str = "progress";
/// On a head: which bulk job changed it last. So a bulk job knows its own changes when it is done again.
pub const CHANGED_BY: &str = "changed_by";
/// On a head: which call queued it again last. So a retry knows its own write when its answer was lost.
pub const RETRIED_BY: &str = "retried_by";

/// On a head: the name of its output, without [`OUTPUT`].
pub const OUTPUT_NAME: &str = "output";
/// On a head: until when a worker holds it. Only a running job that was claimed has it.
pub const LEASE_UNTIL: &str = "lease_until";
/// On a head: the token that its worker shows to report. Kept after the try ended, so that the worker is known.
pub const LEASE_TOKEN: &str = "lease_token";
/// On a head: there while the job is counted in its type's `running`.
pub const SLOT: &str = "slot";

/// On a head: there while the holder promised a report before it begins, and has sent none.
pub const UNACKNOWLEDGED: &str = "unacknowledged";
/// On a head: how many tries in a row ended without such a report.
pub const UNHEARD: &str = "unheard";

/// Sort key of the list indexes: creation time `#` job id.
pub const CREATED: &str = "created";
/// Sort key of the queue index: priority turned around `#` due time `#` job id. Only queued jobs have it.
pub const QUEUE: &str = "queue";

/// Index of all jobs of an owner.
pub const OWNER_INDEX: &str = "owner-index";
/// Index of an owner's jobs in a status.
pub const STATUS_INDEX: &str = "status-index";
/// Index of an owner's jobs of a type.
pub const TYPE_INDEX: &str = "type-index";
/// Index of an owner's jobs of a type in a status.
pub const TYPE_STATUS_INDEX: &str = "type-status-index";
/// Index of an owner's queued jobs of a type, first to go first.
pub const QUEUE_INDEX: &str = "queue-index";

/// `tallies`: partition key: an owner, or [`ALL_OWNERS`].
pub const SCOPE: &str = "scope";
/// `tallies`: sort key.
pub const BUCKET: &str = "bucket";
/// The scope that sums up all owners, and keeps what the counter itself needs.
pub const ALL_OWNERS: &str = "*";

/// The scope that knows all owners: an item for each that has ever had a job, named like it. No owner begins with `*`.
pub const OWNERS: &str = "*owners";

/// `settings`: partition key: the kind of setting.
pub const KIND: &str = "kind";
/// `settings`: sort key.
pub const ID: &str = "id";
/// The kind of setting that is an access key; its id is what the key is called, the first 16 digits of its SHA-256.
pub const KEYS: &str = "keys";
/// Begins the kinds of setting that are marks of keys; the id of each is the key's.
pub const KEY_MARKS: &str = "key-marks";
/// The kind of setting that is a ticket; its id is the SHA-256 of the ticket.
pub const TICKETS: &str = "tickets";
/// The kind of setting that is a type; its id is the owner `#` the type.
pub const TYPES: &str = "types";

/// The kind of setting that is a type with a place; its id is the owner `#` the type.
pub const TYPE_NAMES: &str = "type-names";
/// The kind of setting that says how many places an owner's types take; its id is the owner.
pub const TYPE_PLACES: &str = "type-places";

/// `tasks`: partition key: the job that shows the work.
pub const TASK_ID: &str = "task_id";

/// `records`: partition key: owner `#` kind `#` the caller's id; only the last may hold a `#`.
pub const RECORD: &str = "record";

/// `usage`: partition key: whose keys were used.
pub const OWNER: &str = "owner";
/// `usage`: sort key: a day and a key, or what a key has left of its rate.
pub const SPAN: &str = "span";

/// Time-to-live of every table that has one, in seconds since 1970.
pub const EXPIRES_AT: &str = "expires_at";
