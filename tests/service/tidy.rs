//! Rules of the house that no compiler knows. Each names the file and says what to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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
        "crate::dynamo",
        "crate::http",
        "crate::tally",
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
fn only_the_store_sends() {
    let sending = [".send_with(", ".send()"];
    let store = ["shared/src/dynamo/store.rs"];
    must_not_have(&["shared/src", "functions"], &store, &sending, "make a plan, and let `Store` send it");
}

#[test]
fn nothing_scans() {
    let scanning = ["ScanInput", ".scan()", "operation::scan"];
    must_not_have(&["shared/src", "functions"], &[], &scanning, "there is an index or a bucket for it");
}

#[test]
fn a_function_is_a_line_of_main() {
    for name in function_crates() {
        let main = fs::read_to_string(root().join(format!("functions/{name}/src/main.rs"))).expect("a main");
        let library = name.replace('-', "_");
        let expected = format!(
            "//! `{name}` as a process.\n\nfn main() -> Result<(), jobledger::Error> {{\n    \
             jobledger::run({library}::FUNCTION)\n}}\n"
        );
        assert_eq!(main, expected, "{name}: what a function does stands in its library");
    }
}

pub(crate) fn function_crates() -> BTreeSet<String> {
    let folders = fs::read_dir(root().join("functions")).expect("the functions");
    folders.map(|folder| folder.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn routes_have_tests_of_their_name() {
    for name in function_crates() {
        let text =
            fs::read_to_string(root().join(format!("functions/{name}/src/lib.rs"))).expect("a library");
        if !["impl Route for", "impl StreamRoute for"].iter().any(|route| text.contains(route)) {
            continue;
        }
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
