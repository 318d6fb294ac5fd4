//! The functions of this workspace.

use jobledger::Function;

/// All of them. A function that is only here or only in the template keeps the stack from starting.
pub fn all() -> Vec<Function> {
    vec![
        batch_status::FUNCTION,
        bulk_jobs::FUNCTION,
        cancel_job::FUNCTION,
        change_job::FUNCTION,
        claim_jobs::FUNCTION,
        costs::FUNCTION,
        count_jobs::FUNCTION,
        create_job::FUNCTION,
        delete_job::FUNCTION,
        export_jobs::FUNCTION,
        export_link::FUNCTION,
        get_job::FUNCTION,
        health::FUNCTION,
        ingest_jobs::FUNCTION,
        job_stats::FUNCTION,
        list_jobs::FUNCTION,
        metrics::FUNCTION,
        record::FUNCTION,
        recount::FUNCTION,
        remove_parts::FUNCTION,
        retry_job::FUNCTION,
        run_tasks::FUNCTION,
        schedule_recount::FUNCTION,
        total_jobs::FUNCTION,
        total_records::FUNCTION,
        type_settings::FUNCTION,
        usage::FUNCTION,
        make_admin_key::FUNCTION,
        keys::FUNCTION,
        watch_queue::FUNCTION,
    ]
}
