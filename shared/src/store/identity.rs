//! Which service this is: an id that comes to be when it is first asked for. It lies beside the jobs, so it goes with them.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use uuid::Uuid;

use super::schema::{JOB_ID, PART, SERVICE};
use super::value::s;
use super::{AttributeMap, Corrupt, Ledger, StoreError, Written, plans};

/// The attribute that holds the id.
const SERVICE_ID: &str = "service_id";

impl Ledger {
    /// The id of this service. If it has none yet, that is this one, or one that another call gives it now.
    pub async fn service_id(&self, fresh: Uuid) -> Result<Uuid, StoreError> {
        let tables = &self.config.tables;
        if let Some(item) =
            self.store.get(plans::get_item(tables, SERVICE, SERVICE).consistent_read(true)).await?
        {
            return id_of(&item);
        }
        let key = [JOB_ID, PART].map(|name| (name.to_owned(), s(SERVICE)));
        let item: AttributeMap = key.into_iter().chain([(SERVICE_ID.to_owned(), s(fresh))]).collect();
        let plan = plans::put_part(tables, item)
            .condition_expression("attribute_not_exists(job_id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self.store.put(plan).await? {
            Written::Done(_) => Ok(fresh),
            Written::Refused(there) => id_of(&there.unwrap_or_default()),
        }
    }
}

fn id_of(item: &AttributeMap) -> Result<Uuid, StoreError> {
    let id = item.get(SERVICE_ID).and_then(|id| Uuid::try_parse(id.as_s().ok()?).ok());
    id.ok_or_else(|| Corrupt::new(SERVICE, "no service_id").into())
}
