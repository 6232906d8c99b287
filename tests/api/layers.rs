//! Dependencies point down only: no `crate::` path of a layer names one above it.
//!
//! A folder or file below `src` belongs to the layer of its name. Names that `lib.rs` re-exports count as
//! the layer they come from; what stands in `lib.rs` itself is above all. Tests may look anywhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first. Those in one row may name each other.
const LAYERS: [&[&str]; 8] = [
    &[
        "endpoint",
        "label",
        "network",
        "calendar",
        "clock",
        "error",
        "inotify",
        "socket_file",
    ],
    &["proto", "account"],
    &["scout"],
    &["transport", "tls"],
    &["deferral"],
    &["stream", "hooks", "peer"],
    &["manager", "testing"],
    &["adapt", "lib"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

#[test]
fn no_layer_names_one_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let exported = exports(&fs::read_to_string(src.join("lib.rs")).unwrap());
    let mut upward = Vec::new();
    let mut seen = 0;
    for file in sources(&src) {
        let inside = file.strip_prefix(&src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap();
        let module = module.trim_end_matches(".rs");
        // The command and the crate's root stand above everything.
        if module == "bin" || module == "main" || module == "lib" {
            continue;
        }
        seen += 1;
        let own = layer(module).unwrap_or_else(|| panic!("`{module}` has no layer: add it above"));
        for name in named(&fs::read_to_string(&file).unwrap()) {
            let target = exported.get(&name).unwrap_or(&name);
            let target = layer(target).unwrap_or_else(|| panic!("crate::{name} has no layer"));
            if target > own {
                upward.push(format!("{}: crate::{name}", inside.display()));
            }
        }
    }
    assert!(seen > 20, "the sources were not found");
    assert!(upward.is_empty(), "upward:\n{}", upward.join("\n"));
}

#[test]
fn an_upward_path_is_seen_in_every_form() {
    let text = "\
        use crate::label::Label;\n\
        use crate::{deferral::{self, Op}, stream::Context};\n\
        /// [`crate::connect`] in prose\n\
        fn f() { crate::manager::g(r\"x\") } // crate::adapt\n\
        pub(in crate::transport) struct S;\n\
        #[cfg(test)]\nmod tests { use crate::testing; }\n";
    let expected = ["label", "deferral", "stream", "manager", "transport"];
    assert_eq!(named(text), expected);
    let exported =
        exports("pub use label::{Label, matching::Blocked as Why};\npub use error::Error;");
    assert_eq!(exported["Label"], "label");
    assert_eq!(exported["Why"], "label");
    assert_eq!(exported["Error"], "error");
}

/// Every file that is compiled into the library and is not a test.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap();
        if stem == "tests" {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The code: without comments, and without a module of tests at the end.
fn code(text: &str) -> String {
    let code = match text.find("#[cfg(test)]\nmod tests {") {
        Some(tests) => &text[..tests],
        None => text,
    };
    let lines = code.lines();
    let lines = lines.map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The first names after each `crate::`, those of a group included.
fn named(text: &str) -> Vec<String> {
    let code = code(text);
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let path = &code[at + "crate::".len()..];
        match path.strip_prefix('{') {
            Some(group) => names.extend(members(group).into_iter().map(first)),
            None => names.push(first(path)),
        }
    }
    names
}

fn first(path: &str) -> String {
    let path = path.trim_start();
    path.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// What stands between the commas of a group, up to its closing brace.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.retain(|member| !member.trim().is_empty());
    found
}

/// From a name at the root to the module that it comes from.
fn exports(lib: &str) -> BTreeMap<String, String> {
    let code = code(lib);
    let mut exported = BTreeMap::new();
    for (at, _) in code.match_indices("pub use ") {
        let path = &code[at + "pub use ".len()..];
        let Some((path, _)) = path.split_once(';') else {
            continue;
        };
        let module = first(path);
        let names = path.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        for name in names.filter(|name| !name.is_empty()) {
            exported.insert(name.to_owned(), module.clone());
        }
    }
    // A module is itself, whatever was re-exported through it.
    exported.retain(|name, _| layer(name).is_none());
    exported
}
