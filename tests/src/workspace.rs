//! The files of this repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every file below these folders with this ending, with its path from the root.
pub fn files(folders: &[&str], ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no files found in {folders:?}");
    found
}

/// The names of the functions: each has a binary.
pub fn function_binaries() -> BTreeSet<String> {
    function_mains().into_keys().collect()
}

/// The file of each binary. `health` has a crate of its own, the others share one.
pub fn function_mains() -> BTreeMap<String, PathBuf> {
    let files = fs::read_dir(root().join("functions/src/bin")).expect("the binaries");
    let paths = files.map(|file| file.expect("an entry").path());
    let name = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let mut mains: BTreeMap<_, _> = paths.map(|path| (name(&path), path)).collect();
    mains.insert("health".to_owned(), root().join("functions/health/src/main.rs"));
    mains
}
