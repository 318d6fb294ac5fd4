//! The data directory: one stack at a time.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::stack::Storage;

/// The file that is locked while a stack runs. If the process dies, the lock ends.
const LOCK: &str = "lock";

/// An open data directory.
#[derive(Debug)]
pub(crate) struct Data {
    path: PathBuf,
    _lock: File,
    _temporary: Option<TempDir>,
}

impl Data {
    pub(crate) fn open(storage: &Storage) -> Result<Self> {
        let temporary = match storage {
            Storage::Directory(_) => None,
            Storage::Temporary => Some(
                tempfile::Builder::new()
                    .prefix("jobledger-")
                    .tempdir()
                    .map_err(|source| Error::Data { path: std::env::temp_dir(), source })?,
            ),
        };
        let path = match (storage, &temporary) {
            (Storage::Directory(path), _) => path.clone(),
            (Storage::Temporary, Some(directory)) => directory.path().to_owned(),
            (Storage::Temporary, None) => std::env::temp_dir(),
        };
        let failed = |source| Error::Data { path: path.clone(), source };
        fs::create_dir_all(&path).map_err(failed)?;
        let lock =
            File::options().create(true).write(true).truncate(false).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock, _temporary: temporary }),
            Err(TryLockError::WouldBlock) => Err(Error::DataInUse(path)),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::Data;
    use crate::error::Error;
    use crate::stack::Storage;

    #[test]
    fn one_stack_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::Directory(directory.path().join("data"));
        let first = Data::open(&storage).unwrap();
        assert!(matches!(Data::open(&storage), Err(Error::DataInUse(_))));
        drop(first);
        Data::open(&storage).unwrap();
    }

    #[test]
    fn a_temporary_directory_goes_with_its_stack() {
        let data = Data::open(&Storage::Temporary).unwrap();
        let path = data.path().to_owned();
        assert!(path.is_dir());
        drop(data);
        assert!(!path.exists());
    }
}
