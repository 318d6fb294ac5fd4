//! Reading jobs, and writing those that another system keeps.

use std::collections::HashMap;

use super::jobs::owned;
use super::send::{Made, announce};
use super::{Error, Jobs};
use crate::counts::mean_run_ms;
use crate::domain::{Head, Job, JobId, Owner};
use crate::store::head_write::HeadPut;
use crate::store::{
    Corrupt, Ledger, Part, StoreError, WholeJob, Written, head_of_row, id_of_row, job_of_row, plans,
};

impl Jobs<'_> {
    /// A job with its parts, as of now.
    pub async fn whole(&self, owner: &Owner, id: JobId) -> Result<WholeJob, Error> {
        owned(self.find_whole(id).await?, owner, |whole| &whole.head)
    }

    /// The same; `None`: it is gone.
    pub async fn find_whole(&self, id: JobId) -> Result<Option<WholeJob>, StoreError> {
        WholeJob::read(&self.ledger.store, &self.ledger.config.tables, id).await
    }

    /// Adds the mean time that jobs of its type run, if nothing else tells how long this one takes.
    pub async fn measure(&self, whole: &mut WholeJob) -> Result<(), StoreError> {
        let Ledger { store, config, .. } = self.ledger;
        let job = &whole.head.job;
        if job.is_unmeasured() {
            whole.beside.mean_run_ms = mean_run_ms(store, &config.tables, &job.owner, &job.kind).await?;
        }
        Ok(())
    }

    /// Those of up to 100 jobs that are there and this owner's, as of now.
    pub async fn some(&self, owner: &Owner, ids: &[JobId]) -> Result<HashMap<JobId, Job>, StoreError> {
        let Ledger { store, config, .. } = self.ledger;
        let found = store.batch_get(plans::get_heads_now(&config.tables, ids)?).await?;
        let jobs = found.into_values().flatten().map(job_of_row);
        let jobs: Vec<Job> = jobs.collect::<Result<_, Corrupt>>()?;
        let mine = jobs.into_iter().filter(|job| job.owner == *owner);
        Ok(mine.map(|job| (job.id, job)).collect())
    }

    /// The same. A job that cannot be read does not keep the others back; nobody knows whose it is.
    pub(crate) async fn each(
        &self,
        owner: &Owner,
        ids: &[JobId],
    ) -> Result<HashMap<JobId, Result<Job, Corrupt>>, StoreError> {
        let Ledger { store, config, .. } = self.ledger;
        let found = store.batch_get(plans::get_heads_now(&config.tables, ids)?).await?;
        let mut jobs = HashMap::new();
        for item in found.into_values().flatten() {
            let id = id_of_row(&item)?;
            match job_of_row(item) {
                Ok(job) if job.owner != *owner => {}
                read => {
                    jobs.insert(id, read);
                }
            }
        }
        Ok(jobs)
    }

    /// The heads of those of up to 100 jobs that are there, of any owner, as of now.
    pub async fn heads(&self, ids: &[JobId]) -> Result<HashMap<JobId, Head>, StoreError> {
        let Ledger { store, config, .. } = self.ledger;
        let found = store.batch_get(plans::get_heads_now(&config.tables, ids)?).await?;
        let heads = found.into_values().flatten().map(head_of_row);
        heads.map(|head| head.map(|head| (head.job.id, head)).map_err(StoreError::from)).collect()
    }

    /// Writes a head as another system describes the job: in the place of the one that was seen, if any, unless that
    /// changed. A job that a worker holds must not be written so.
    pub async fn put(&self, head: &Head, seen: Option<&Head>) -> Result<Made, StoreError> {
        let put = match seen {
            None => HeadPut::create(head)?,
            Some(seen) => HeadPut::replace(head, seen)?,
        };
        let written = self.ledger.store.put(put.request(&self.ledger.config.tables)).await?;
        Ok(match written {
            Written::Done(_) => {
                announce(self.ledger, head);
                Made::Done(Box::new(head.clone()))
            }
            Written::Refused(item) => Made::Refused(item.map(head_of_row).transpose()?.map(Box::new)),
        })
    }

    /// Writes parts of jobs, before the heads that name them.
    pub async fn put_parts(&self, parts: &[Part]) -> Result<(), StoreError> {
        let items = parts.iter().cloned().map(Part::into_item).collect();
        self.ledger.store.batch_put(&self.ledger.config.tables.jobs, items).await
    }
}
