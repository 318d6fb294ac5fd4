//! A call that asks for background work, and its answer.

use lambda_http::http::StatusCode;

use super::{Answer, Call, JobView, Problem};
use crate::background::{Asked, AskedBy, Begun, keep_key};
use crate::domain::{Fingerprint, IdempotencyKey, Input, JobId, Owner};
use crate::store::Ledger;

impl Asked {
    /// The request of a call. An `Idempotency-Key` gives the job its id; one that is kept beside an `external_id`
    /// stands for another request.
    pub async fn of(
        call: &Call<'_, Ledger>,
        owner: Owner,
        key: Option<IdempotencyKey>,
        fingerprint: Fingerprint,
        input: Input,
    ) -> Result<Self, Problem> {
        let id = match key {
            None => JobId::from(call.fresh),
            Some(key) => {
                let id = JobId::of_idempotency_key(&owner, &key);
                if !keep_key(call.backend, id, call.now).await? {
                    return Err(Problem::idempotency_key_reused());
                }
                id
            }
        };
        let by = AskedBy::Key(call.caller()?.key.key_id.clone());
        let (fresh, now, trace_id) = (call.fresh, call.now, call.trace_id());
        Ok(Self { id, owner, by, fresh, now, trace_id, fingerprint, input })
    }

    /// Answers with the job that shows the work, whether this call or the same one before it began it.
    pub fn answer(&self, begun: &Begun) -> Result<Answer, Problem> {
        let (Begun::New(head) | Begun::There(head)) = begun;
        if head.fingerprint != self.fingerprint {
            return Err(Problem::idempotency_key_reused());
        }
        let location = format!("/v1/jobs/{}", head.job.id);
        Ok(Answer::json(StatusCode::ACCEPTED, &JobView::new(&head.job, self.now)).with("location", location))
    }
}
