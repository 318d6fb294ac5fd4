//! The values that heads have maps for.

use serde::{Deserialize, Serialize};

use crate::domain::{ErrorCode, JobError, Percent, Progress, TaskName};

/// Why a try failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::store) struct ErrorRow {
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl From<&JobError> for ErrorRow {
    fn from(error: &JobError) -> Self {
        let JobError { message, failed_task, code } = error.clone();
        Self { message, failed_task, code: code.map(|code| code.to_string()) }
    }
}

impl ErrorRow {
    pub(in crate::store) fn error(self) -> Result<JobError, String> {
        let code = self.code.map(ErrorCode::try_from).transpose().map_err(text)?;
        Ok(JobError { message: self.message, failed_task: self.failed_task, code })
    }
}

/// How far a job is, in hundredths of a percent.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct ProgressRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current_task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current_task_hundredths: Option<u16>,
    overall_hundredths: u16,
}

pub(in crate::store) fn progress_row(progress: &Progress) -> ProgressRow {
    ProgressRow {
        current_task: progress.current_task.as_ref().map(ToString::to_string),
        current_task_hundredths: progress.current_task_progress.map(Percent::hundredths),
        overall_hundredths: progress.overall_progress.hundredths(),
    }
}

pub(in crate::store) fn progress(row: ProgressRow) -> Result<Progress, String> {
    Ok(Progress {
        current_task: row.current_task.map(TaskName::of_store).transpose().map_err(text)?,
        current_task_progress: row
            .current_task_hundredths
            .map(Percent::try_from)
            .transpose()
            .map_err(text)?,
        overall_progress: Percent::try_from(row.overall_hundredths).map_err(text)?,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of `map_err`")]
pub(in crate::store) fn text(error: impl ToString) -> String {
    error.to_string()
}
