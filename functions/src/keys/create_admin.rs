//! `create-admin-key`: a key with the scope `admin`, for a deployment that has none. It has no route: AWS decides who
//! may call it (`lambda:InvokeFunction`). Its answer is the only place where the key's text ever stands.

use jobledger::audit::Audit;
use jobledger::domain::{Owner, Scope, Timestamp, callers_owner};
use jobledger::lambda::{BoxFuture, Invoke, Started};
use jobledger::store::Ledger;
use jobledger::{Environment, Error, Function};
use lambda_runtime::Context;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// The function.
pub const FUNCTION: Function = Function {
    name: "create-admin-key",
    routes: Vec::new,
    start: |environment| Box::pin(start(environment)),
};

async fn start(environment: Environment) -> Result<Started, Error> {
    let ledger = Ledger::open(&environment).await?;
    Ok(Started::Whole(Box::new(CreateAdminKey { ledger, clock: environment.clock })))
}

struct CreateAdminKey {
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

impl Invoke for CreateAdminKey {
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let event: Event = serde_json::from_str(event.get())
                .map_err(|error| format!("the payload must be {{\"owner\": \"...\"}}: {error}"))?;
            let owner = Owner::try_from(event.owner).and_then(callers_owner);
            let owner = owner.map_err(|invalid| format!("owner {invalid}"))?;
            let (now, secret) = ((self.clock)(), Environment::fresh_secret());
            let (key, text) = self.ledger.keys().create_admin(owner, &secret, now).await?;
            let view = key.view(now);
            Audit {
                action: "key.made",
                subject: view.key_id.as_str(),
                owner: Some(view.owner),
                detail: Some(&serde_json::to_string(&view)?),
                key_id: None,
                key_owner: None,
                request_id: Some(&context.request_id),
                source_ip: None,
            }
            .log();
            let (key_id, owner) = (view.key_id.as_str(), view.owner);
            Ok(to_raw_value(&Made { key_id, owner, scopes: [Scope::Admin.as_str()], key: &text })?)
        })
    }
}
