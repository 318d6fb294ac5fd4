//! The order of the modules: ARCHITECTURE.md has it, and every path in the code must keep it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{files, root};

/// The crate of functions: it comes last, and its modules have no line of their own.
const FUNCTIONS: &str = "functions";

/// The lines of the order. The modules of the first line may be used by all others.
struct Order {
    lines: Vec<Vec<String>>,
    /// The module of each name that `lib.rs` exports at the root of the library.
    shown: BTreeMap<String, String>,
}

impl Order {
    /// Reads the block `order` of ARCHITECTURE.md.
    fn read() -> Self {
        let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
        let block = text.lines().skip_while(|line| *line != "```order").skip(1);
        let block = block.take_while(|line| *line != "```");
        let lines: Vec<Vec<String>> =
            block.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
        assert!(!lines.is_empty(), "ARCHITECTURE.md has no block ```order");
        let lib = fs::read_to_string(root().join("shared/src/lib.rs")).expect("the library's root");
        let uses = lib.lines().filter_map(|line| line.strip_prefix("pub use ")?.strip_suffix(';'));
        let shown = uses.flat_map(|path| {
            let (module, names) = path.split_once("::").expect("a path of a module");
            let names = names.trim_matches(['{', '}']).split(',');
            names.map(|name| (name.trim().to_owned(), module.to_owned()))
        });
        Self { lines, shown: shown.collect() }
    }

    fn line_of(&self, module: &str) -> Option<usize> {
        self.lines.iter().position(|line| line.iter().any(|name| name == module))
    }

    /// The reason why a module may not use a name of the library's root; `None`: it may.
    fn objection(&self, module: &str, name: &str) -> Option<String> {
        let used = self.shown.get(name).map_or(name, String::as_str);
        if used == module {
            return None;
        }
        match (self.line_of(module), self.line_of(used)) {
            (Some(at), Some(of)) if of < at => None,
            (Some(_), Some(_)) => Some(format!("{module} must not use {used}")),
            (None, _) => Some(format!("{module} has no place in the order")),
            (_, None) => Some(format!("`{name}` is no module in the order; name the module that has it")),
        }
    }
}

/// A Rust file without its comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The places of paths that begin with this word and `::`, each with the rest of its path.
fn paths<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '"');
    let starts = code.match_indices(word).filter(move |(at, _)| !code[..*at].ends_with(is_part));
    starts.filter_map(move |(at, _)| Some((at, code[at + word.len()..].strip_prefix("::")?)))
}

/// The next names in a path: one, or those in braces.
fn first_names(rest: &str) -> Vec<&str> {
    let name = |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let Some(group) = rest.strip_prefix('{') else { return vec![&rest[..name(rest)]] };
    let (mut names, mut depth, mut is_first) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            '{' => depth += 1,
            ',' if depth == 0 => is_first = true,
            c if c.is_whitespace() => {}
            _ if is_first => {
                names.push(&group[at..at + name(&group[at..])]);
                is_first = false;
            }
            _ => {}
        }
    }
    names
}

/// The names of the library's root that a file uses, each with its line. `depth` is how many `super` lead there.
fn used<'a>(code: &'a str, crate_name: &'a str, depth: usize) -> Vec<(usize, &'a str)> {
    let absolute = paths(code, crate_name);
    let relative = paths(code, "super").filter_map(|(at, mut rest)| {
        let mut steps = 1;
        while let Some(further) = rest.strip_prefix("super::") {
            (rest, steps) = (further, steps + 1);
        }
        // A glob, or a name that the file's tests take from the file itself, names no module.
        let is_path = rest.starts_with('{') || rest.starts_with(|c: char| c.is_lowercase());
        (steps >= depth && steps > 1 && is_path).then_some((at, rest))
    });
    let line = |at: usize| code[..at].lines().count().max(1);
    absolute
        .chain(relative)
        .flat_map(|(at, rest)| first_names(rest).into_iter().map(move |name| (line(at), name)))
        .collect()
}

/// The module of the library that has this file, and the depth of the file in it.
fn place(file: &str) -> (&str, usize) {
    let path = file.strip_prefix("shared/src/").and_then(|path| path.strip_suffix(".rs")).expect("a module");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    (path.split('/').next().unwrap_or(path), path.split('/').count())
}

#[test]
fn every_module_has_one_place_in_the_order() {
    let order = Order::read();
    let named: Vec<&String> = order.lines.iter().flatten().collect();
    let set: BTreeSet<&str> = named.iter().map(|name| name.as_str()).collect();
    assert_eq!(set.len(), named.len(), "a module stands twice in the order: {named:?}");
    let files = files(&["shared/src"], ".rs");
    let modules = files.iter().map(|(file, _)| file.as_str()).filter(|file| *file != "shared/src/lib.rs");
    let modules: BTreeSet<&str> = modules.map(|file| place(file).0).chain([FUNCTIONS]).collect();
    assert_eq!(set, modules, "the order in ARCHITECTURE.md names each module of shared/src, and functions");
    assert_eq!(order.lines.last(), Some(&vec![FUNCTIONS.to_owned()]), "functions come last");
}

#[test]
fn modules_use_only_those_before_them() {
    let order = Order::read();
    let mut wrong = Vec::new();
    for (file, text) in files(&["shared/src"], ".rs") {
        if file == "shared/src/lib.rs" {
            continue;
        }
        let (module, depth) = place(&file);
        for (line, name) in used(&code(&text), "crate", depth) {
            wrong.extend(order.objection(module, name).map(|why| format!("{file}:{line}: {why}")));
        }
    }
    for (file, text) in files(&["functions/src", "functions/health/src"], ".rs") {
        for (line, name) in used(&code(&text), "jobledger", usize::MAX) {
            wrong.extend(order.objection(FUNCTIONS, name).map(|why| format!("{file}:{line}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "the order stands in ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let text = "//! See [`crate::http`].\nuse crate::domain::{Job, Owner};\nuse crate::{\n    lists::{self, page},\n    \
                store as kept,\n};\nfn f() -> crate::queue::Claims {\n    super::super::counts::total(\"crate::http\")\n}\n\
                use super::lists;\nuse super::super::Job;\n";
    let code = code(text);
    let found = used(&code, "crate", 2);
    let names: Vec<_> = found.iter().map(|(line, name)| (*line, *name)).collect();
    assert_eq!(names, [(2, "domain"), (3, "lists"), (3, "store"), (7, "queue"), (8, "counts")]);
}

#[test]
fn the_order_refuses_what_points_up() {
    let order = Order {
        lines: [&["domain"][..], &["store"], &["lists", "queue"], &["http"], &["functions"]]
            .map(|line| line.iter().map(|name| (*name).to_owned()).collect())
            .into(),
        shown: BTreeMap::from([("Job".to_owned(), "domain".to_owned())]),
    };
    for (module, name) in [("store", "domain"), ("store", "store"), ("functions", "http"), ("http", "Job")] {
        assert_eq!(order.objection(module, name), None, "{module} {name}");
    }
    for (module, name) in [("store", "http"), ("lists", "queue"), ("queue", "lists"), ("http", "elsewhere")] {
        assert!(order.objection(module, name).is_some(), "{module} {name}");
    }
}
