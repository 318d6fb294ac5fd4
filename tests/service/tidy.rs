//! Rules of this repository that no compiler checks. Each failure names the file and the remedy.

mod order;

use std::collections::BTreeSet;
use std::fs;

use jobledger_tests::workspace::{files, function_binaries, function_mains, root};

/// Most lines of a Rust file: a longer one does more than one thing.
const MAX_LINES: usize = 400;

const CODE: [&str; 8] = ["benches", "cli", "client", "shared", "functions", "infra/local", "tests", "worker"];

/// No line of these files may contain one of these words.
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

/// "What the worker returns" hides its actor. The rules of plain English in CONTRIBUTING.md ask for it.
#[test]
fn comments_name_their_actor() {
    let starts = ["What ", "Who ", "Whoever ", "Whatever "];
    let mut wrong = Vec::new();
    for (name, text) in files(&CODE, ".rs") {
        for (number, line) in (1..).zip(text.lines()) {
            let Some((_, comment)) = line.split_once("//") else { continue };
            let mut sentences = comment.trim_start_matches(['/', '!', ' ']).split(". ");
            if sentences.any(|sentence| starts.iter().any(|start| sentence.starts_with(start))) {
                wrong.push(format!("{name}:{number}:{comment}"));
            }
        }
    }
    assert!(wrong.is_empty(), "begin the sentence with its actor or its noun:\n{}", wrong.join("\n"));
}

#[test]
fn tests_wait_for_states_and_not_for_time() {
    let sleep = [concat!("sleep", "(")];
    let tests = ["benches", "cli/tests", "tests", "infra/local/tests", "worker/tests"];
    // This file uses the runtime's own, paused time, or pauses between two looks at a state.
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
    must_not_have(
        &["functions/src", "functions/health/src", "shared/src/http"],
        &[],
        &inner,
        "call an operation of the resource (`ledger.records()`), and let the store send it",
    );
}

#[test]
fn only_the_store_sends() {
    let sending = [".send_with(", ".send()"];
    let store = ["shared/src/store/client.rs"];
    must_not_have(&["shared/src", "functions"], &store, &sending, "make a plan, and let `Store` send it");
}

#[test]
fn nothing_scans() {
    let scanning = ["ScanInput", ".scan()", "operation::scan"];
    must_not_have(&["shared/src", "functions"], &[], &scanning, "there is an index or a bucket for it");
}

#[test]
fn binaries_only_start_their_function() {
    let declared = ["functions/Cargo.toml", "functions/health/Cargo.toml"].into_iter().flat_map(|manifest| {
        let manifest = fs::read_to_string(root().join(manifest)).expect("a manifest");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let binaries = manifest["bin"].as_array().expect("binaries").clone();
        binaries.into_iter().map(|bin| bin["name"].as_str().expect("a name").to_owned())
    });
    let declared: BTreeSet<String> = declared.collect();
    assert_eq!(declared, function_binaries(), "name each binary in functions/Cargo.toml");
    for (name, main) in function_mains() {
        let main = fs::read_to_string(main).expect("a main");
        let start = format!(
            "//! `{name}` as a process.\n\nfn main() -> Result<(), jobledger::Error> {{\n    \
             jobledger::run(jobledger_"
        );
        let path = main.strip_prefix(&start).and_then(|rest| rest.strip_suffix("::FUNCTION)\n}\n"));
        let is_path =
            path.is_some_and(|path| path.chars().all(|c| c.is_ascii_lowercase() || "_:".contains(c)));
        assert!(is_path, "{name}: the code of a function stands in its module, not in its binary");
    }
}

/// The tests of a route mirror its path: `functions/src/jobs/cancel.rs` has `tests/service/routes/jobs/cancel.rs`.
#[test]
fn routes_have_tests_of_their_path() {
    let sources = files(&["functions/src", "functions/health/src"], ".rs").into_iter();
    let is_route =
        |text: &str| ["impl Route for", "impl StreamRoute for"].iter().any(|word| text.contains(word));
    let routes: Vec<_> = sources.filter(|(_, text)| is_route(text)).map(|(name, _)| name).collect();
    assert!(routes.len() > 20, "routes are found by how they are written: {routes:?}");
    let has_tests = |path: &str| {
        let tests = root().join("tests/service/routes").join(path);
        tests.join("mod.rs").is_file() || tests.with_extension("rs").is_file()
    };
    for name in routes {
        // A crate of its own has its route in `src/lib.rs`.
        let path = name.trim_start_matches("functions/").trim_start_matches("src/");
        let path = path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/src/lib");
        // The routes of one function may have their tests together.
        let folder = path.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| {
            let module = root().join("functions/src").join(folder).join("mod.rs");
            fs::read_to_string(module).is_ok_and(|text| text.contains("impl Serves for"))
        });
        assert!(
            has_tests(path) || folder.is_some_and(has_tests),
            "{name} has no tests/service/routes/{path}"
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
