//! `/v1/admin/keys`: access keys. Each execution environment reads a key again within a minute, so a revoked key may work
//! that long. Here it may not: it could create its own successor. So these routes read the caller's key at each call.

use jobledger::Function;
use jobledger::domain::KeyId;
use jobledger::http::{Call, Problem, Served, Serves, function};
use jobledger::store::Ledger;

pub mod create;
pub mod create_admin;
pub mod delete;
pub mod get;
pub mod list;
mod parse;
pub mod update;

/// The function.
pub const FUNCTION: Function = function::<Keys>();

const NAME: &str = "keys";
/// Longest body: every field at its longest, with white space.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Most keys of one page.
const MAX_PAGE: usize = 100;

/// `/v1/admin/keys` and `/v1/admin/keys/{key_id}`.
#[derive(Debug)]
pub struct Keys;

impl Serves for Keys {
    const NAME: &'static str = NAME;
    type Backend = Ledger;
    const ROUTES: &'static [Served<Ledger>] = &[
        Served::of::<create::CreateKey>(),
        Served::of::<list::ListKeys>(),
        Served::of::<get::GetKey>(),
        Served::of::<update::UpdateKey>(),
        Served::of::<delete::DeleteKey>(),
    ];
}

/// The key that the path names.
fn named_key(call: &mut Call<'_, Ledger>) -> Result<KeyId, Problem> {
    let key_id = KeyId::try_from(call.path_value("key_id").unwrap_or_default());
    let key_id = key_id.map_err(|invalid| call.query.refuse("key_id", invalid)).ok();
    call.refuse_owner("must be left out: the key_id says which key");
    call.query.clone().finish(key_id)
}
