//! A job as a whole: its head, and the parts that this names.

use super::schema::{HEAD, PART};
use super::tries::decode_try;
use super::{
    AttributeMap, Store, StoreError, Tables, decode_part, head_of_row, input_part, output_part, plans,
};
use crate::domain::{Head, Input, JobId, Output, Try};

/// A job with what it was given and what it gave.
#[derive(Clone, Debug)]
pub struct WholeJob {
    /// Its head.
    pub head: Head,
    /// The data that is stored beside that.
    pub beside: Beside,
    /// The try that the head itself tells to have ended.
    pub(crate) last: Option<Try>,
}

/// The data that is stored beside a job's head, and the knowledge of its type.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Its input.
    pub input: Input,
    /// Its output.
    pub output: Output,
    /// Its earlier tries, in any order; that which the head tells need not be among them.
    pub tries: Vec<Try>,
    /// The mean time that jobs of its type run, in milliseconds, where that is known.
    pub mean_run_ms: Option<u64>,
}

impl WholeJob {
    /// Reads a job, as of now.
    pub async fn read(store: &Store, tables: &Tables, id: JobId) -> Result<Option<Self>, StoreError> {
        let parts = read_parts(store, tables, id).await?;
        let Some(head) = part(&parts, HEAD).cloned().map(head_of_row).transpose()? else { return Ok(None) };
        let input = head.input.and_then(|name| part(&parts, &input_part(name)));
        let output = head.output.and_then(|name| part(&parts, &output_part(name)));
        let input = input.map(decode_part).transpose()?.unwrap_or_default();
        let output = output.map(decode_part).transpose()?.unwrap_or_default();
        let tries = parts.iter().filter_map(|item| decode_try(&head.job, item).transpose());
        let tries = tries.collect::<Result<_, _>>()?;
        let (beside, last) = (Beside { input, output, tries, mean_run_ms: None }, head.job.ended_try());
        Ok(Some(Self { head, beside, last }))
    }
}

async fn read_parts(store: &Store, tables: &Tables, id: JobId) -> Result<Vec<AttributeMap>, StoreError> {
    let mut parts = Vec::new();
    let mut from = None;
    loop {
        let page = store.query(plans::get_job(tables, id).set_exclusive_start_key(from)).await?;
        parts.extend(page.items.unwrap_or_default());
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(parts);
        }
    }
}

fn part<'a>(parts: &'a [AttributeMap], name: &str) -> Option<&'a AttributeMap> {
    parts
        .iter()
        .find(|item| item.get(PART).and_then(|part| part.as_s().ok()).is_some_and(|part| part == name))
}
