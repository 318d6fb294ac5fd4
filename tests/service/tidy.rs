//! Rules that no compiler knows. Each names the file and says what to do.

mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jobledger_local::TEMPLATE;
use jobledger_local::template::Template;

/// Most lines of a Rust file: more do more than one thing.
const MAX_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every file below these folders with this ending, with its path from the root.
fn files(folders: &[&str], ending: &str) -> Vec<(String, String)> {
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

const CODE: [&str; 8] = ["benches", "cli", "client", "shared", "functions", "infra/local", "tests", "worker"];

/// No line of these files may have one of these words.
#[track_caller]
fn must_not_have(folders: &[&str], allowed: &[&str], words: &[&str], instead: &str) {
    let mut wrong = Vec::new();
    for (name, text) in files(folders, ".rs") {
        if allowed.contains(&name.as_str()) {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            wrong.extend(
                words
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{name}:{number}: {word}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{instead}:\n{}", wrong.join("\n"));
}

#[test]
fn files_do_one_thing() {
    let long: Vec<_> = files(&CODE, ".rs")
        .into_iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines; cut them by what they do: {long:?}");
}

#[test]
fn nothing_is_left_open() {
    let open = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
        concat!("FIX", "ME"),
    ];
    must_not_have(&CODE, &[], &open, "finish it, or leave it out");
}

#[test]
fn tests_wait_for_states_and_not_for_time() {
    let sleep = [concat!("sleep", "(")];
    let tests = ["benches", "cli/tests", "tests", "infra/local/tests", "worker/tests"];
    // There time is the runtime's own, paused: it passes only where nothing else is left to do.
    let virtual_clock = ["tests/src/clock.rs"];
    must_not_have(&tests, &virtual_clock, &sleep, "wait for a state, with a bound");
}

#[test]
fn the_domain_is_pure() {
    let foreign = [
        "aws_",
        "lambda_",
        "tokio",
        "async ",
        ".await",
        "crate::store",
        "crate::http",
        "crate::counts",
        "crate::lambda",
        "std::env",
        "std::fs",
        "std::net",
    ];
    must_not_have(
        &["shared/src/domain"],
        &[],
        &foreign,
        "the domain knows neither AWS, HTTP, time nor `async`",
    );
}

#[test]
fn handlers_know_no_database() {
    let inner = [
        "aws_sdk",
        "aws_smithy",
        "AttributeMap",
        "AttributeValue",
        "plans::",
        "Written",
        "Transacted",
        "schema::",
        "serde_dynamo",
        "config.tables",
        "Ledger { store",
        ".store.",
    ];
    // Those that do not call the operations of their resource yet.
    let not_yet = [
        "functions/src/ingest/jobs/upsert.rs",
        "functions/src/jobs/batch_status.rs",
        "functions/src/jobs/cancel.rs",
        "functions/src/jobs/create/mod.rs",
        "functions/src/jobs/create/wait.rs",
        "functions/src/jobs/delete.rs",
        "functions/src/jobs/export/stream/mod.rs",
        "functions/src/jobs/get.rs",
        "functions/src/jobs/list/mod.rs",
        "functions/src/jobs/retry.rs",
        "functions/src/jobs/update/held.rs",
        "functions/src/jobs/update/refusal.rs",
        "functions/src/jobs/update/step.rs",
        "functions/src/streams/delete_job_data.rs",
        "functions/src/streams/tally_jobs.rs",
    ];
    must_not_have(
        &["functions/src", "shared/src/http"],
        &not_yet,
        &inner,
        "call an operation of the resource (`ledger.records()`), and let the store send it",
    );
}

#[test]
fn only_the_store_sends() {
    let sending = [".send_with(", ".send()"];
    let store = ["shared/src/store/store.rs"];
    must_not_have(&["shared/src", "functions"], &store, &sending, "make a plan, and let `Store` send it");
}

#[test]
fn nothing_scans() {
    let scanning = ["ScanInput", ".scan()", "operation::scan"];
    must_not_have(&["shared/src", "functions"], &[], &scanning, "there is an index or a bucket for it");
}

#[test]
fn binaries_only_start_their_function() {
    let manifest = fs::read_to_string(root().join("functions/Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let declared = manifest["bin"].as_array().expect("binaries").iter();
    let declared: BTreeSet<String> =
        declared.map(|bin| bin["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(declared, function_binaries(), "name each binary in functions/Cargo.toml");
    for name in function_binaries() {
        let main = fs::read_to_string(root().join(format!("functions/src/bin/{name}.rs"))).expect("a main");
        let start = format!(
            "//! `{name}` as a process.\n\nfn main() -> Result<(), jobledger::Error> {{\n    \
             jobledger::run(jobledger_functions::"
        );
        let path = main.strip_prefix(&start).and_then(|rest| rest.strip_suffix("::FUNCTION)\n}\n"));
        let is_path =
            path.is_some_and(|path| path.chars().all(|c| c.is_ascii_lowercase() || "_:".contains(c)));
        assert!(is_path, "{name}: the code of a function stands in its module, not in its binary");
    }
}

/// The names of the functions: each has a binary.
pub(crate) fn function_binaries() -> BTreeSet<String> {
    let files = fs::read_dir(root().join("functions/src/bin")).expect("the binaries");
    let paths = files.map(|file| file.expect("an entry").path());
    paths.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn routes_have_tests_of_their_name() {
    let template = Template::parse(TEMPLATE, &BTreeMap::new(), "").expect("our template");
    let called = template
        .functions
        .into_iter()
        .filter(|function| !function.routes.is_empty() || function.url.is_some());
    for name in called.map(|function| function.name) {
        let tests = root().join("tests/service/routes").join(name.replace('-', "_"));
        assert!(
            tests.is_dir() || tests.with_extension("rs").is_file(),
            "{name} has no tests/service/routes file"
        );
    }
}

#[test]
fn the_readme_names_the_commands_that_ci_runs() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let ci = fs::read_to_string(root().join(".ci/run")).expect("a CI script");
    for command in ["cargo run", "cargo test --workspace --locked"] {
        assert!(readme.lines().any(|line| line == command), "README.md has no line {command:?}");
    }
    assert!(ci.contains("cargo test --workspace --locked"));
}
