//! A stream of random shards, delivered as badly as Lambda may.

use jobledger::domain::JobId;
use jobledger_tests::faults::Fault;
use jobledger_tests::stream::{Dice, Write, event, last_event, record};
use serde_json::{Value, json};

use crate::engine::{FunctionSet, Trouble, Troubles};

/// Parts of the jobs' key space. Each belongs to one open shard.
const SLOTS: usize = 8;
/// Most deliveries until a run's stream is read: far more than necessary.
const MAX_DELIVERIES: usize = 20_000;
/// Most attempts of one delivery.
const MAX_TRIES: usize = 50;
/// Batch sizes, in records.
const BATCH_SIZES: [usize; 4] = [2, 8, 40, 1_000];
/// A fault may hit one of this many first requests of an invocation.
const MAX_STEPS: usize = 4;

struct Shard {
    name: String,
    parent: Option<usize>,
    is_open: bool,
    records: Vec<Value>,
    /// How many of the records Lambda believes delivered.
    taken: usize,
}

/// The shards of a run's stream.
pub(crate) struct Stream {
    tag: String,
    shards: Vec<Shard>,
    /// The shard of each part of the key space.
    slots: [usize; SLOTS],
    /// Whether deliveries are free of faults and repetitions.
    pub(crate) is_calm: bool,
}

impl Stream {
    /// A stream of a few shards.
    pub(crate) fn new(tag: &str, dice: &mut Dice) -> Self {
        let mut stream = Self { tag: tag.to_owned(), shards: Vec::new(), slots: [0; SLOTS], is_calm: false };
        let roots = 1 + dice.below(3);
        (0..roots).for_each(|_| stream.open(None));
        for slot in &mut stream.slots {
            *slot = dice.below(roots);
        }
        stream
    }

    fn open(&mut self, parent: Option<usize>) {
        let name = format!("{}-{:04}", self.tag, self.shards.len());
        self.shards.push(Shard { name, parent, is_open: true, records: Vec::new(), taken: 0 });
    }

    /// Adds a write to the stream, as a record.
    pub(crate) fn take(&mut self, place: usize, id: JobId, write: &Write) {
        let slot = usize::from(id.shard(u16::try_from(SLOTS).unwrap_or(1)));
        self.shards[self.slots[slot]].records.push(record(place, write));
    }

    /// A shard ends, and one or two new ones replace it.
    pub(crate) fn split(&mut self, dice: &mut Dice) {
        let ended = *dice.pick(&self.slots);
        self.shards[ended].is_open = false;
        let first = self.shards.len();
        let children = 1 + dice.below(2);
        (0..children).for_each(|_| self.open(Some(ended)));
        for slot in self.slots.iter_mut().filter(|slot| **slot == ended) {
            *slot = first + dice.below(children);
        }
    }

    /// Whether all records of a shard are delivered, and no more can come.
    fn is_over(&self, shard: usize) -> bool {
        let Shard { parent, is_open, records, taken, .. } = &self.shards[shard];
        !is_open && *taken == records.len() && parent.is_none_or(|parent| self.is_over(parent))
    }

    /// The shards with records to deliver: a child only after its parent.
    fn readable(&self) -> Vec<usize> {
        let is_next = |shard: &Shard| {
            shard.taken < shard.records.len() && shard.parent.is_none_or(|parent| self.is_over(parent))
        };
        (0..self.shards.len()).filter(|index| is_next(&self.shards[*index])).collect()
    }

    /// Delivers all that is left.
    pub(crate) async fn drain(&mut self, functions: &FunctionSet, dice: &mut Dice) {
        for _ in 0..MAX_DELIVERIES {
            if !self.deliver(functions, dice).await {
                return;
            }
        }
        panic!("the stream does not end");
    }

    /// Delivers some records, with or without a fault; false: there are none.
    pub(crate) async fn deliver(&mut self, functions: &FunctionSet, dice: &mut Dice) -> bool {
        let readable = self.readable();
        if readable.is_empty() {
            return false;
        }
        let index = *dice.pick(&readable);
        let shard = &self.shards[index];
        let from = shard.taken;
        let left = shard.records.len() - from;
        let size = left.min(*dice.pick(&BATCH_SIZES));
        let to = from + 1 + dice.below(size);
        // The delivery may repeat records before the new ones.
        let begin = if dice.is_one_in(4) { from - dice.below(from.min(20) + 1) } else { from };
        let batch = Delivery { functions, shard };
        if self.is_calm {
            batch.once(from, from + left).await;
            self.shards[index].taken = from + left;
            return true;
        }
        let is_taken = match dice.roll(10) {
            0 | 1 => batch.crash(begin, to, dice).await,
            2 => batch.stumble(begin, to, dice).await,
            3 => batch.twice_at_once(begin, to, dice).await,
            4 => {
                // A late delivery: Lambda gave it up, and it comes after the records that follow it.
                let end = dice.below(from + 1);
                batch.once(end - dice.below(end.min(20) + 1), end).await;
                false
            }
            5 => {
                batch.once(begin, to).await;
                batch.once(begin, to).await;
                true
            }
            6 => {
                let cut = begin + dice.below(to - begin + 1);
                batch.once(begin, cut).await;
                batch.until_taken(&last_event(&shard.name)).await;
                batch.once(begin, to).await;
                true
            }
            _ => {
                batch.once(begin, to).await;
                true
            }
        };
        if is_taken {
            self.shards[index].taken = to;
        }
        true
    }
}

/// Deliveries of one shard.
struct Delivery<'a> {
    functions: &'a FunctionSet,
    shard: &'a Shard,
}

impl Delivery<'_> {
    fn event(&self, from: usize, to: usize) -> Value {
        event(&self.shard.name, &self.shard.records[from..to])
    }

    async fn send(&self, event: &Value) -> Result<Value, String> {
        self.functions.counter.invoke(event).await
    }

    /// A delivery without faults.
    async fn once(&self, from: usize, to: usize) {
        let answer = self.until_taken(&self.event(from, to)).await;
        assert_eq!(answer, json!({ "state": {}, "batchItemFailures": [] }));
    }

    /// The counter dies at one of its requests, before or after it is done. Returns whether the call ended before that.
    async fn crash(&self, from: usize, to: usize, dice: &mut Dice) -> bool {
        let trouble = Trouble { is_done: dice.is_one_in(2), fault: Fault::refused() };
        let mut troubles: Troubles = (0..dice.below(MAX_STEPS)).map(|_| None).collect();
        troubles.push_back(Some(trouble));
        self.functions.trouble(&self.shard.name, troubles);
        let answer = self.send(&self.event(from, to)).await;
        let crashed = self.functions.heal(&self.shard.name).is_empty();
        assert!(answer.is_err() || !crashed, "{answer:?}");
        answer.is_ok()
    }

    /// Requests meet passing faults: other transactions, a failing store, lost answers.
    async fn stumble(&self, from: usize, to: usize, dice: &mut Dice) -> bool {
        let mut troubles = Troubles::from([None]);
        for _ in 0..=dice.below(2) {
            troubles.push_back(match dice.roll(16) {
                0 => Some(Trouble { is_done: true, fault: Fault::broken() }),
                1 => Some(Trouble { is_done: false, fault: Fault::broken() }),
                2 => None,
                _ => Some(Trouble { is_done: false, fault: Fault::cancelled() }),
            });
        }
        self.functions.trouble(&self.shard.name, troubles);
        let answer = self.send(&self.event(from, to)).await;
        self.functions.heal(&self.shard.name);
        // After two lost answers, the counter may believe that another delivery was faster, and return an error.
        answer.is_ok()
    }

    /// Two deliveries of one shard, one of which goes further, until both are accepted.
    async fn twice_at_once(&self, from: usize, to: usize, dice: &mut Dice) -> bool {
        let cut = from + dice.below(to - from + 1);
        let (short, long) = (self.event(from, cut), self.event(from, to));
        tokio::join!(self.until_taken(&short), self.until_taken(&long));
        true
    }

    /// Repeats a delivery until it is accepted, as Lambda does. On a busy machine, an engine may be too slow at first.
    async fn until_taken(&self, event: &Value) -> Value {
        for _ in 0..MAX_TRIES {
            if let Ok(answer) = self.send(event).await {
                return answer;
            }
        }
        panic!("it is not taken");
    }
}
