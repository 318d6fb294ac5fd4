//! The packages under the worker, from `Cargo.lock`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every package that this one may be built with, including tests and all targets.
fn tree() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("Cargo.lock");
    let lock: toml::Table = std::fs::read_to_string(path).expect("a lock").parse().expect("TOML");
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let listed = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        // A name, with its version if there are several. All versions of a name are treated as one.
        let names = listed.filter_map(|needed| needed.as_str()?.split(' ').next());
        needs.entry(name).or_default().extend(names);
    }
    let mut seen = BTreeSet::new();
    let mut open = vec!["jobledger-worker"];
    while let Some(name) = open.pop() {
        if seen.insert(name.to_owned()) {
            open.extend(&needs[name]);
        }
    }
    seen
}

#[test]
fn a_worker_has_nothing_of_aws() {
    let tree = tree();
    for expected in ["hyper-rustls", "ring", "rustls", "tokio"] {
        assert!(tree.contains(expected), "{expected} is not in what was read: {tree:?}");
    }
    let foreign: Vec<_> =
        tree.iter().filter(|name| name.starts_with("aws") || name.starts_with("lambda")).collect();
    assert!(foreign.is_empty(), "a worker is to run anywhere; leave out {foreign:?}");
    assert!(!tree.contains("jobledger"), "a worker knows the service by its HTTP contract only");
}
