//! Claims: which worker gets which jobs.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::join_all;

use super::any_of;
use super::memory::{Contention, LongQueues, Recent, Taken};
use super::send::{Made, made, transact};
use super::slots::{self, Slots};
use super::waiting::{CROWDED_WINDOW, Candidate, WINDOW, view};
use crate::domain::steps::{claimed, moved_up};
use crate::domain::{Head, Input, LeaseToken, Owner, Status, Step, Terms, Timestamp, TypeName, WorkerId};
use crate::environment::Environment;
use crate::store::head_write::{HeadWrite, NewValue};
use crate::store::plans::get_head;
use crate::store::plans::queue::Slot;
use crate::store::schema::QUEUE;
use crate::store::value::s;
use crate::store::{Ledger, StoreError, StoredType, Transacted, Written, input_part};

/// How often a claim tries for jobs that others were faster at, before it looks at the queue anew.
const MAX_ROUNDS: usize = 8;
/// How often one job may change within the millisecond of its claim.
const MAX_TRIES: usize = 3;
/// How often it looks.
const MAX_LOOKS: usize = 3;
/// With tries spread over more jobs than this, a claim looks at more.
const CROWDED_FROM: usize = 24;
/// How many jobs that became due one claim moves up, where there are many.
const MAX_MOVED_UP: usize = 25;

/// The request of a claim.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// Whose jobs.
    pub owner: Owner,
    /// The worker that asks.
    pub worker: WorkerId,
    /// Of which types.
    pub kinds: BTreeSet<TypeName>,
    /// How many at most.
    pub max: usize,
    /// How long each is held without a report, in seconds.
    pub lease_seconds: u32,
    /// Whether its worker promises a report on each job before it begins to work on it.
    pub acknowledge: bool,
}

/// A job that somebody got.
#[derive(Debug)]
pub struct Claimed {
    /// Its head as it is now, with the lease.
    pub head: Head,
    /// The job's input.
    pub input: Input,
}

/// The knowledge that one execution environment has from its claims.
#[derive(Debug, Default)]
pub struct Claims {
    taken: Taken,
    long: LongQueues,
    contention: Contention,
    pub(super) recent: Recent,
}

/// The outcome of one try for one job.
enum Outcome {
    Got(Box<Claimed>),
    /// Somebody else was faster.
    Lost,
    /// Its type runs as many as it may.
    Full(TypeName),
}

impl Claims {
    /// Takes as many jobs as are asked for and may go, the highest priority first, then the first due.
    ///
    /// Once some are taken, a failure only ends the search: they are held for their worker already.
    pub async fn claim(
        &self,
        ledger: &Ledger,
        request: &ClaimRequest,
        clock: fn() -> Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut got = Vec::new();
        for _ in 0..MAX_LOOKS {
            match self.look(ledger, request, clock, &mut got).await {
                Ok(Looked::Lost) if got.len() < request.max => {}
                Ok(_) => break,
                Err(error) if got.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a claim ended early");
                    break;
                }
            }
        }
        if !got.is_empty() {
            self.recent.came((&request.owner, &request.kinds), clock());
        }
        Ok(got)
    }

    /// Looks at the queues once, and tries for what is there.
    async fn look(
        &self,
        ledger: &Ledger,
        request: &ClaimRequest,
        clock: fn() -> Timestamp,
        got: &mut Vec<Claimed>,
    ) -> Result<Looked, StoreError> {
        let (source, now) = (ledger.source().await?, clock());
        let queues = (&request.owner, &request.kinds);
        let mut spread = self.contention.spread(queues);
        let window = if spread > CROWDED_FROM { CROWDED_WINDOW } else { WINDOW };
        let seen = view(source, &self.long, queues, window, now).await?;
        let mut left = self.taken.without(seen.candidates, now);
        // The types are read after the queues. So either this claim sees the first limit of a type, or the writer of the
        // limit sees the job that this claim is about to take. If nothing waits, no type is read.
        let kinds = left.iter().map(|candidate| candidate.kind.clone()).collect();
        let types = ledger.types_now(&request.owner, &kinds).await?;
        let slots = slots::open(ledger, &request.owner, &types, now).await?;
        left.retain(|candidate| !slots.is_closed(&candidate.kind));
        let mut moved_up = seen.crowded;
        let mut lost = false;
        for _ in 0..MAX_ROUNDS {
            if got.len() >= request.max || left.is_empty() {
                break;
            }
            let picked = pick(&mut left, request.max - got.len(), spread);
            let tried = picked.len();
            moved_up.retain(|late| picked.iter().all(|candidate| candidate.id != late.id));
            let round = self.round(ledger, request, &types, &slots, picked, clock).await;
            let mut losses = 0;
            let mut failed = None;
            for outcome in round {
                match outcome {
                    Ok(Outcome::Got(claimed)) => got.push(*claimed),
                    Ok(Outcome::Lost) => losses += 1,
                    Ok(Outcome::Full(kind)) => left.retain(|candidate| candidate.kind != kind),
                    Err(error) => failed = Some(error),
                }
            }
            (spread, lost) = (self.contention.tried(queues, tried, losses), losses > 0);
            if let Some(error) = failed {
                return Err(error);
            }
        }
        move_up(ledger, &request.owner, moved_up).await?;
        Ok(if lost { Looked::Lost } else { Looked::Done })
    }

    /// Tries for some jobs at once; for those of a type with a limit one after the other, as they share its slots.
    async fn round(
        &self,
        ledger: &Ledger,
        request: &ClaimRequest,
        types: &HashMap<TypeName, StoredType>,
        slots: &Slots,
        picked: Vec<Candidate>,
        clock: fn() -> Timestamp,
    ) -> Vec<Result<Outcome, StoreError>> {
        let mut chains: Vec<Vec<Candidate>> = Vec::new();
        for candidate in picked {
            let of_its_type =
                |chain: &&mut Vec<Candidate>| chain.iter().all(|other| other.kind == candidate.kind);
            match chains.iter_mut().find(of_its_type).filter(|_| slots.are_limited(&candidate.kind)) {
                Some(chain) => chain.push(candidate),
                None => chains.push(vec![candidate]),
            }
        }
        let chains = chains.into_iter().map(|chain| async move {
            let mut outcomes = Vec::with_capacity(chain.len());
            for candidate in chain {
                let stored = types.get(&candidate.kind);
                let outcome = self.take(ledger, request, stored, &candidate, slots, clock()).await;
                let is_full = matches!(outcome, Ok(Outcome::Full(_)));
                outcomes.push(outcome);
                if is_full {
                    break;
                }
            }
            outcomes
        });
        join_all(chains).await.into_iter().flatten().collect()
    }

    /// Tries for one job, and reads what it was given meanwhile.
    async fn take(
        &self,
        ledger: &Ledger,
        request: &ClaimRequest,
        stored: Option<&StoredType>,
        candidate: &Candidate,
        slots: &Slots,
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let (taken, input) = tokio::join!(
            take_head(ledger, request, stored, candidate, slots.are_limited(&candidate.kind), now),
            ledger.read_part(candidate.id, candidate.input.map(input_part)),
        );
        let head = match taken? {
            Took::Head(head) => head,
            Took::Lost { waits } => {
                // One that waits yet, only elsewhere in the queue, is looked for there.
                if !waits {
                    self.taken.remember(candidate, now);
                }
                return Ok(Outcome::Lost);
            }
            Took::Full => return Ok(Outcome::Full(candidate.kind.clone())),
        };
        self.taken.remember(candidate, now);
        // It is held now: an input that could not be read at first is worth another try.
        let input = match input {
            Ok((input, _)) if head.input == candidate.input => input,
            Ok(_) | Err(_) => ledger.read_part(candidate.id, head.input.map(input_part)).await?.0,
        };
        Ok(Outcome::Got(Box::new(Claimed { head: *head, input })))
    }
}

/// How a look at the queues ended.
enum Looked {
    /// With all that there was to have.
    Done,
    /// Others were faster at the last.
    Lost,
}

enum Took {
    Head(Box<Head>),
    /// Somebody else was faster: the try is theirs, or the job `waits` for it at another place.
    Lost {
        waits: bool,
    },
    Full,
}

/// The next to try for: in order, or from any of so many places among those with the highest priority.
fn pick(left: &mut Vec<Candidate>, count: usize, spread: usize) -> Vec<Candidate> {
    let first = left.first().map(|candidate| candidate.priority);
    let peers = left.iter().take_while(|candidate| Some(candidate.priority) == first).count();
    let places = peers.saturating_sub(count).min(spread) + 1;
    let from = any_of(places);
    left.drain(from..left.len().min(from + count)).collect()
}

async fn take_head(
    ledger: &Ledger,
    request: &ClaimRequest,
    stored: Option<&StoredType>,
    candidate: &Candidate,
    is_limited: bool,
    now: Timestamp,
) -> Result<Took, StoreError> {
    let timeout = candidate.timeout_seconds.or(stored.and_then(|stored| stored.settings.timeout_seconds));
    let terms = Terms {
        holds_slot: is_limited,
        attempt: candidate.attempt.saturating_add(1),
        seconds: request.lease_seconds,
        deadline: timeout.map(|seconds| now.plus_millis(i64::from(seconds) * 1_000)),
        kind: candidate.kind.clone(),
    };
    let token = LeaseToken::new(terms, Environment::fresh_secret_id());
    let mut step = claimed(&request.worker, &token, request.acknowledge, now).of(&request.owner);
    for _ in 0..MAX_TRIES {
        let Some(made) = send(ledger, &request.owner, candidate, &step, is_limited).await? else {
            return Ok(Took::Full);
        };
        let (Made::Done(head) | Made::Refused(Some(head))) = made else { break };
        // Its own first try may have been done although its answer was lost: then it is refused, but the token is ours.
        if head.job.lease().is_some() && head.job.was_given(&token) {
            return Ok(Took::Head(head));
        }
        // It was changed within the same millisecond, and may be claimed all the same.
        if !(step.may_be_made_again(&head) && step.is_too_early(&head)) {
            let waits = head.job.status() == Status::Queued && head.job.attempt == candidate.attempt;
            return Ok(Took::Lost { waits });
        }
        step = step.after(&head);
    }
    Ok(Took::Lost { waits: false })
}

/// Sends a claim; `None`: the type has no free slot.
async fn send(
    ledger: &Ledger,
    owner: &Owner,
    candidate: &Candidate,
    step: &Step,
    is_limited: bool,
) -> Result<Option<Made>, StoreError> {
    let Ledger { store, config, .. } = ledger;
    let tables = &config.tables;
    let update = candidate.update(step)?;
    let written = if is_limited {
        let write = HeadWrite::Update(update);
        match transact(store, tables, &write, owner, &candidate.kind, Slot::Take).await? {
            Transacted::Done => {
                Written::Done(store.get(get_head(tables, candidate.id).consistent_read(true)).await?)
            }
            Transacted::Refused(items) if items.first().is_some_and(Option::is_none) => return Ok(None),
            Transacted::Refused(items) => Written::Refused(items.into_iter().next().flatten().flatten()),
        }
    } else {
        store.update(update.request(tables)).await?
    };
    Ok(Some(made(written)?))
}

/// Moves some jobs that became due to where their priority belongs: any of them, as others do the same.
async fn move_up(ledger: &Ledger, owner: &Owner, mut late: Vec<Candidate>) -> Result<(), StoreError> {
    let Ledger { store, config, .. } = ledger;
    let from = any_of(late.len());
    late.rotate_left(from);
    late.truncate(MAX_MOVED_UP);
    let moves = late.iter().map(|candidate| async {
        let mut update = candidate.update(&moved_up(candidate.attempt).of(owner))?;
        update.set.push((QUEUE, NewValue::Is(s(&candidate.place))));
        store.update(update.request(&config.tables)).await
    });
    join_all(moves).await.into_iter().try_for_each(|moved| moved.map(drop))
}
