//! `GET /api/metrics/services`: the services that the metrics store scrapes, and whether they are up.

use std::collections::BTreeMap;

use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use serde::Serialize;

use super::{Asking, NO_OWNER, problem};

/// `GET /api/metrics/services`.
#[derive(Debug)]
pub struct ListServices;

#[derive(Serialize)]
struct Body {
    services: Vec<View>,
}

#[derive(Serialize)]
struct View {
    job: String,
    instance: String,
    is_up: bool,
    labels: BTreeMap<String, String>,
}

impl Route for ListServices {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::get("/api/metrics/services");
    const ACCESS: Access = Access::Scope(Scope::Admin);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Asking;

    async fn answer(mut call: Call<'_, Asking>) -> Result<Answer, Problem> {
        call.refuse_owner(NO_OWNER);
        call.query.clone().finish(Some(()))?;
        let services = call.backend.0.services(call.now).await.map_err(problem)?;
        let services = services.into_iter().map(|mut service| {
            let mut take = |name| service.labels.remove(name).unwrap_or_default();
            View {
                job: take("job"),
                instance: take("instance"),
                is_up: service.is_up,
                labels: service.labels,
            }
        });
        Ok(Answer::ok(&Body { services: services.collect() }))
    }
}
