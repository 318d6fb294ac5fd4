//! `make-admin-key`: a key with the scope `admin`, for a deployment that has none. It has no route: whoever may call it is
//! decided by AWS (`lambda:InvokeFunction`). Its answer is the only place where the key's text ever stands.

use std::collections::BTreeSet;

use jobledger::domain::{Owner, Timestamp};
use jobledger::dynamo::keys::{StoredKey, put_key};
use jobledger::dynamo::{Ledger, Written};
use jobledger::http::{AccessKey, Audit, Scope, fresh_key};
use jobledger::lambda::{BoxFuture, Invoke, Started};
use jobledger::{Environment, Error, Function};
use lambda_runtime::Context;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// The function.
pub const FUNCTION: Function =
    Function { name: "make-admin-key", start: |environment| Box::pin(start(environment)) };

async fn start(environment: Environment) -> Result<Started, Error> {
    let ledger = Ledger::open(&environment).await?;
    Ok(Started::Whole(Box::new(MakeAdminKey { ledger, clock: environment.clock })))
}

struct MakeAdminKey {
    ledger: Ledger,
    clock: fn() -> Timestamp,
}

/// Whose key it shall be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    owner: String,
}

#[derive(Serialize)]
struct Made<'a> {
    key_id: &'a str,
    owner: &'a Owner,
    scopes: [&'static str; 1],
    key: &'a str,
}

impl Invoke for MakeAdminKey {
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let event: Event = serde_json::from_str(event.get())
                .map_err(|error| format!("the payload must be {{\"owner\": \"...\"}}: {error}"))?;
            let owner = Owner::try_from(event.owner).map_err(|invalid| format!("owner {invalid}"))?;
            let (text, hash) = fresh_key();
            let access = AccessKey {
                key_id: hash.key_id(),
                owner,
                scopes: BTreeSet::from([Scope::Admin]),
                expires_at: None,
                allowance: None,
                storage_quota_bytes: None,
            };
            let Ledger { store, config, .. } = &self.ledger;
            let key = StoredKey::new(access, &hash, None, None, (self.clock)());
            let (key_id, owner) = (key.access.key_id.as_str(), &key.access.owner);
            match store.put(put_key(&config.tables, &key)).await? {
                Written::Done(_) => {}
                // The write was done, and its answer was lost; or another key is called the same, which does not happen.
                Written::Refused(_) => return Err("the key may not have been kept; make another".into()),
            }
            Audit {
                action: "key.made",
                subject: key_id,
                owner,
                detail: Some(r#"{"scopes":["admin"]}"#),
                key_id: None,
                key_owner: None,
                request_id: Some(&context.request_id),
            }
            .log();
            Ok(to_raw_value(&Made { key_id, owner, scopes: [Scope::Admin.as_str()], key: &text })?)
        })
    }
}
