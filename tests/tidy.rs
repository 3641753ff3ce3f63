//! Checks on the code itself: who imports whom, sizes, names, and what must not stand in the repository.
//!
//! Each rule is a function from files to findings. A test runs it over the repository; a second one shows that it finds a
//! planted violation, so that no rule passes because it has gone blind.

#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/scan.rs"]
mod scan;
#[path = "tidy/tree.rs"]
mod tree;

use std::collections::BTreeSet;
use std::fs;

use rooms::{CRATES, PURE, ROOMS, is_below, room_of};
use scan::{Path, Scanned, lines_saying};
use tree::{File, MODULES, TEXTS, root, rust};

const LONGEST_FUNCTION: usize = 70;
const LONGEST_FILE: usize = 500;
const AIM_OF_FILE: usize = 300;

/// Names that say nothing of what a thing is, or that mean something else here.
const BANNED: [&str; 11] =
    ["event", "sync", "process", "handle", "manager", "helper", "util", "utils", "service", "data", "info"];

/// Names that stay all the same, and why.
const ALLOWED_NAMES: [(&str, &str, &str); 2] = [
    ("src/cli/demo/config.rs", "Service", "beside the sandbox, Lockstep itself is the service"),
    ("src/sandbox/shell.rs", "connect_info", "axum's trait names it"),
];

/// Something against a rule: where, and what to do.
type Finding = String;

fn finding(file: &File, line: usize, what: &str) -> Finding {
    format!("{}:{line}: {what}", file.path)
}

fn check<'a>(rule: impl Fn(&File) -> Vec<Finding>, files: impl IntoIterator<Item = &'a File>) {
    let found: Vec<Finding> = files.into_iter().flat_map(rule).collect();
    assert!(found.is_empty(), "{} to mend:\n{}", found.len(), found.join("\n"));
}

/// What a rule says of a file with this text.
fn planted(rule: impl Fn(&File) -> Vec<Finding>, path: &str, text: &str) -> Vec<Finding> {
    rule(&File::new(path, text))
}

// Who may import whom.

/// The module of ours that a path names, or `None` where it names a crate.
fn ours(file: &File, scanned: &Scanned<'_>, path: &Path) -> Option<String> {
    let mut here: Vec<&str> = match file.module() {
        "lib" | "main" => Vec::new(),
        module => module.split('/').collect(),
    };
    let mut parts = path.parts.iter().map(String::as_str).peekable();
    match path.parts[0].as_str() {
        "crate" | "lockstep" => here.clear(),
        "self" | "super" => {}
        child if !scanned.lines_with(&["mod", child]).is_empty() => {}
        _ => return None,
    }
    while let Some(part) = parts.next_if(|part| ["crate", "lockstep", "self", "super"].contains(part)) {
        if part == "super" {
            here.pop();
        }
    }
    here.extend(parts.filter(|part| *part != "self"));
    Some(here.join("/"))
}

fn imports_against_the_table(file: &File) -> Vec<Finding> {
    let Some(room) = room_of(file.module()) else {
        return vec![finding(file, 1, "belongs to no room; give it one in tests/tidy/rooms.rs")];
    };
    let scanned = Scanned::new(&file.text);
    let against = |path: &Path| {
        let module = ours(file, &scanned, path)?;
        let other = room_of(&module)?;
        let (from, to) = (room.paths[0], other.paths[0]);
        let allowed = from == to || room.may_use == rooms::ALL || room.may_use.contains(&to);
        let what = format!(
            "`{from}` may not use `{to}` (`{}`); move what both need to a room that both may use, or give the edge and \
             its reason to tests/tidy/rooms.rs",
            path.parts.join("::")
        );
        (!allowed).then(|| finding(file, path.line, &what))
    };
    scanned.paths().iter().filter_map(against).collect()
}

#[test]
fn every_import_stands_in_the_table() {
    check(imports_against_the_table, MODULES.iter().copied());
}

#[test]
fn an_import_against_the_table_is_found() {
    let found = |path, text| planted(imports_against_the_table, path, text).len();
    assert_eq!(found("src/model/link.rs", "use crate::store::Store;"), 1);
    assert_eq!(found("src/model/link.rs", "fn f() { crate::store::sql::open(); }"), 1);
    assert_eq!(found("src/store/mod.rs", "mod sql;\npub use sql::Sqlite;"), 1, "also through a child");
    assert_eq!(found("src/resolve/decide.rs", "use super::{lookup::Lookup, claim};"), 1, "also through a parent");
    assert_eq!(
        found("src/mirror/plan.rs", "use std::{fmt, io};\nuse crate::{clock::Millis, systems::{self, Site}};"),
        2
    );
    assert_eq!(found("src/new_room.rs", "//! A module that the table does not know."), 1);
    assert_eq!(found("src/model/link.rs", "use crate::clock::Millis;\n// crate::store\n"), 0);
    assert_eq!(found("src/model/link.rs", "#[cfg(test)]\nmod tests {\n    use crate::store::Store;\n}"), 0);
}

#[test]
fn the_table_names_modules_that_exist_and_has_no_circle() {
    let files = &*MODULES;
    let mut before = BTreeSet::new();
    for room in ROOMS {
        for path in room.paths {
            assert!(files.iter().any(|file| is_below(file.module(), path)), "the table names `{path}`, which is gone");
        }
        let late = room.may_use.iter().find(|used| **used != "*" && !before.contains(*used));
        let name = room.paths[0];
        assert_eq!(late, None, "`{name}` uses a room that stands after it, or a name that is not a room's first path");
        before.insert(name);
    }
    for path in PURE.iter().chain(CRATES.iter().flat_map(|(_, modules)| *modules)) {
        assert!(files.iter().any(|file| is_below(file.module(), path)), "the tables name `{path}`, which is gone");
    }
}

fn crates_in_the_wrong_room(file: &File) -> Vec<Finding> {
    let scanned = Scanned::new(&file.text);
    let misplaced = |path: &Path| {
        let (name, modules) = CRATES.iter().find(|(name, _)| path.parts[0] == *name)?;
        if ours(file, &scanned, path).is_some() || modules.iter().any(|module| is_below(file.module(), module)) {
            return None;
        }
        let what = format!("`{name}` is for {} alone; go through their types", modules.join(", "));
        Some(finding(file, path.line, &what))
    };
    scanned.paths().iter().filter_map(misplaced).collect()
}

#[test]
fn crates_stay_in_their_rooms() {
    check(crates_in_the_wrong_room, MODULES.iter().copied());
}

#[test]
fn a_crate_in_the_wrong_room_is_found() {
    let found = |path, text| planted(crates_in_the_wrong_room, path, text).len();
    assert_eq!(found("src/record/mod.rs", "use sqlx::Row;"), 1);
    assert_eq!(found("src/resolve/mod.rs", "async fn f() { sqlx::query(\"\"); }"), 1);
    assert_eq!(found("src/verify/mod.rs", "use {tokio::sync::Mutex, axum::Json};"), 2);
    assert_eq!(found("src/systems/ghl/api.rs", "use reqwest::Client;"), 1);
    assert_eq!(found("src/store/sql/pool.rs", "use sqlx::Row;"), 0);
}

fn waits_in_pure_modules(file: &File) -> Vec<Finding> {
    if !PURE.iter().any(|pure| is_below(file.module(), pure)) {
        return Vec::new();
    }
    let lines = Scanned::new(&file.text).lines_with(&["async"]);
    lines.into_iter().map(|line| finding(file, line, "this module is pure; let its caller wait")).collect()
}

#[test]
fn pure_modules_never_wait() {
    check(waits_in_pure_modules, MODULES.iter().copied());
}

#[test]
fn a_wait_in_a_pure_module_is_found() {
    assert_eq!(planted(waits_in_pure_modules, "src/resolve/decide.rs", "pub async fn decide() {}").len(), 1);
    assert_eq!(planted(waits_in_pure_modules, "src/resolve/mod.rs", "pub async fn next() {}").len(), 0);
}

// Sizes.

fn long_functions(file: &File) -> Vec<Finding> {
    let scanned = Scanned::new(&file.text);
    let functions = scanned.functions();
    let long = functions.iter().filter(|function| function.lines > LONGEST_FUNCTION);
    let what = |name: &str, lines: usize| format!("`{name}` has {lines} lines, {LONGEST_FUNCTION} at most; split it");
    long.map(|function| finding(file, function.line, &what(function.name, function.lines))).collect()
}

#[test]
fn functions_are_short() {
    check(long_functions, MODULES.iter().copied());
}

#[test]
fn a_long_function_is_found() {
    let body =
        |lines: usize| format!("impl A {{\n    fn f(a: [u8; 2]) {{\n{}    }}\n}}\n", "        g();\n".repeat(lines));
    let found = |lines| planted(long_functions, "src/app.rs", &body(lines));
    assert_eq!(found(LONGEST_FUNCTION - 2), Vec::<Finding>::new());
    assert!(found(LONGEST_FUNCTION - 1)[0].starts_with("src/app.rs:2: `f` has 71 lines"));
}

fn lines_without_tests(file: &File) -> usize {
    file.text.lines().count() - Scanned::new(&file.text).test_lines
}

fn long_files(file: &File) -> Vec<Finding> {
    let lines = lines_without_tests(file);
    let what = format!("{lines} lines without tests, {LONGEST_FILE} at most; give a part of it its own module");
    if lines > LONGEST_FILE { vec![finding(file, 1, &what)] } else { Vec::new() }
}

#[test]
fn files_are_short() {
    for file in MODULES.iter().filter(|file| lines_without_tests(file) > AIM_OF_FILE) {
        println!("note: {} has {} lines; the aim is {AIM_OF_FILE}", file.path, lines_without_tests(file));
    }
    check(long_files, MODULES.iter().copied());
}

#[test]
fn a_long_file_is_found() {
    let tests = "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\n";
    let of = |lines: usize| format!("{}{tests}", "const A: u8 = 1;\n".repeat(lines));
    assert_eq!(planted(long_files, "src/app.rs", &of(LONGEST_FILE)).len(), 0);
    assert_eq!(planted(long_files, "src/app.rs", &of(LONGEST_FILE + 1)).len(), 1);
}

// Words.

fn without_an_opening(file: &File) -> Vec<Finding> {
    let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let what = "opens without `//!`; say what it does, what comes in, what goes out, what it leaves to others";
    if first.starts_with("//! ") { Vec::new() } else { vec![finding(file, 1, what)] }
}

#[test]
fn every_module_says_what_it_is() {
    check(without_an_opening, MODULES.iter().copied());
    check(without_an_opening, rust().filter(|file| !file.path.starts_with("src/")));
}

#[test]
fn a_module_without_an_opening_is_found() {
    assert_eq!(planted(without_an_opening, "src/app.rs", "\nuse std::fmt;\n//! Too late.").len(), 1);
    assert_eq!(planted(without_an_opening, "src/app.rs", "//! Wires everything.\n").len(), 0);
}

fn silenced_lints(file: &File) -> Vec<Finding> {
    let scanned = scan::words(&file.text);
    let opens = |at: usize| scanned[at].text == "allow" && scanned.get(at + 1).is_some_and(|next| next.text == "(");
    let in_attribute = |at: usize| at > 0 && ["[", ","].contains(&scanned[at - 1].text);
    let silenced = (0..scanned.len()).filter(|at| opens(*at) && in_attribute(*at));
    let what = "`allow` hides what it was for; use `#[expect(lint, reason = \"…\")]`";
    silenced.map(|at| finding(file, scanned[at].line, what)).collect()
}

#[test]
fn no_lint_is_silenced_for_good() {
    check(silenced_lints, rust());
}

#[test]
fn a_silenced_lint_is_found() {
    let found = |text| planted(silenced_lints, "src/app.rs", text).len();
    assert_eq!(found("#[allow(dead_code)]\nfn f() {}"), 1);
    assert_eq!(found("#![allow(dead_code)]"), 1);
    assert_eq!(found("#[cfg_attr(test, allow(dead_code))]\nfn f() {}"), 1);
    assert_eq!(found("#[expect(dead_code, reason = \"…\")]\nfn f() { allow(1); }"), 0);
}

fn unfinished(file: &File) -> Vec<Finding> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let lines = marks.iter().flat_map(|mark| lines_saying(&file.text, mark));
    lines.map(|line| finding(file, line, "do it, or open an issue")).collect()
}

#[test]
fn nothing_is_left_for_later() {
    // What vendors wrote is theirs.
    check(unfinished, TEXTS.iter().filter(|file| !file.path.starts_with("tests/fixtures/")));
}

#[test]
fn a_note_for_later_is_found() {
    assert_eq!(
        planted(unfinished, "src/app.rs", concat!("fn f() {}\n// TO", "DO: more")),
        ["src/app.rs:2: do it, or open an issue"]
    );
    assert_eq!(planted(unfinished, "src/app.rs", concat!("const A_TO", "DO: u8 = 1;")).len(), 0);
}

/// The words of a name in `snake_case` or `CamelCase`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c != '_') {
            word.extend(c.to_lowercase());
        }
    }
    words
}

fn empty_names(file: &File) -> Vec<Finding> {
    let scanned = Scanned::new(&file.text);
    let said = |name: &str| BANNED.into_iter().find(|banned| words_of(name).iter().any(|word| word == banned));
    let allowed = |name: &str| ALLOWED_NAMES.iter().any(|(path, allowed, _)| *path == file.path && *allowed == name);
    let definitions = scanned.definitions();
    let empty = definitions.iter().filter(|word| said(word.text).is_some() && !allowed(word.text));
    empty.map(|word| finding(file, word.line, &format!("`{}`: say what it is (no {BANNED:?})", word.text))).collect()
}

#[test]
fn names_say_something() {
    check(empty_names, MODULES.iter().copied());
    for (path, name, reason) in ALLOWED_NAMES {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        let stands = Scanned::new(&text).definitions().iter().any(|word| word.text == name);
        assert!(stands, "`{name}` in {path} is allowed ({reason}), and is gone");
    }
}

#[test]
fn a_name_that_says_nothing_is_found() {
    let found = |text| planted(empty_names, "src/app.rs", text).len();
    assert_eq!(found("struct ContactData;\nfn handle_webhook() {}\nmod util {}\nenum EventKind {}\ntrait Sync {}"), 5);
    assert_eq!(found("struct Database;\nfn handled(data: u8) {}\nuse std::process;"), 0);
}

// The repository.

fn places_of_one_machine(file: &File) -> Vec<Finding> {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("sha", "red/")];
    let lines = places.iter().flat_map(|place| lines_saying(&file.text, place));
    lines.map(|line| finding(file, line, "names a place on one machine; name it from the repository's root")).collect()
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    check(places_of_one_machine, &*TEXTS);
}

#[test]
fn a_place_on_one_machine_is_found() {
    let found = |text| planted(places_of_one_machine, "README.md", text).len();
    assert_eq!(found(concat!("see ../sha", "red/design.md")), 1);
    assert_eq!(found(concat!("cd /wo", "rk/main")), 1);
    assert_eq!(found(concat!("https://example.com/net", "wo", "rk/a")), 0);
}

fn migrations(files: &[File], dialect: &str) -> Vec<String> {
    let folder = format!("migrations/{dialect}/");
    files.iter().filter_map(|file| file.path.strip_prefix(&folder)).map(str::to_owned).collect()
}

#[test]
fn both_databases_have_the_same_migrations() {
    let (sqlite, postgres) = (migrations(&TEXTS, "sqlite"), migrations(&TEXTS, "postgres"));
    assert!(!sqlite.is_empty(), "no migrations were found");
    assert_eq!(
        sqlite, postgres,
        "each migration needs a file of the same name in migrations/sqlite and migrations/postgres"
    );
}

#[test]
fn migrations_are_listed_by_database() {
    let files = [File::new("migrations/sqlite/0001_a.sql", ""), File::new("migrations/postgres/0001_b.sql", "")];
    assert_eq!(migrations(&files, "sqlite"), ["0001_a.sql"]);
    assert_eq!(migrations(&files, "postgres"), ["0001_b.sql"]);
}

#[test]
fn an_example_of_the_configuration_is_there() {
    assert!(TEXTS.iter().any(|file| file.path == "config.example.toml"), "config.example.toml is missing");
}

/// The headings of worked examples for which no test of the same name is found.
fn untested_examples<'a>(page: &File, files: impl IntoIterator<Item = &'a File>) -> Vec<Finding> {
    let is_test = |words: &[scan::Word<'a>]| words[0].text == "fn" && words[2].text == "(";
    let named = |file: &'a File| -> Vec<&'a str> {
        let words = scan::words(&file.text);
        words.windows(3).filter(|three| is_test(three)).map(|three| three[1].text).collect()
    };
    let tests: BTreeSet<&str> = files.into_iter().flat_map(named).collect();
    let headings = page.text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, line.strip_prefix("### ")?)));
    let missing = headings.filter(|(_, name)| !tests.contains(name.trim().trim_matches('`')));
    missing.map(|(line, name)| finding(page, line, &format!("no test is called `{name}`"))).collect()
}

#[test]
fn each_worked_example_is_a_test_of_the_same_name() {
    let page = TEXTS.iter().find(|file| file.path == "docs/conflict-resolution.md").unwrap();
    assert!(page.text.lines().filter(|line| line.starts_with("### ")).count() > 10, "the examples are gone");
    check(|page| untested_examples(page, rust()), [page]);
}

#[test]
fn a_worked_example_without_a_test_is_found() {
    let page = File::new("docs/a.md", "## Topic\n### `told_and_tested`\n### only_told\n");
    let files = [File::new("src/a.rs", "fn told_and_tested() {}\nfn only_told_otherwise() {}\n// fn only_told()\n")];
    assert_eq!(untested_examples(&page, &files), ["docs/a.md:3: no test is called `only_told`"]);
}

/// The dependencies that no file uses. `section` is `dependencies` or `dev-dependencies`.
fn unused<'a>(manifest: &str, section: &str, files: impl IntoIterator<Item = &'a File>) -> Vec<String> {
    let heading = format!("[{section}]");
    let lines = manifest.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.replace('-', "_"));
    let used: BTreeSet<&str> =
        files.into_iter().flat_map(|file| scan::words(&file.text)).map(|word| word.text).collect();
    names.filter(|name| !used.contains(name.as_str())).collect()
}

#[test]
fn every_dependency_is_used() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let by_the_code = unused(&manifest, "dependencies", MODULES.iter().copied());
    assert!(by_the_code.is_empty(), "drop them, or make them dev-dependencies: {by_the_code:?}");
    let by_tests = unused(&manifest, "dev-dependencies", rust());
    assert!(by_tests.is_empty(), "drop them: {by_tests:?}");
}

#[test]
fn an_unused_dependency_is_found() {
    let manifest = "[dependencies]\n# web\nused-one = \"1\"\nunused = { version = \"1\" }\n\n[features]\nother = []\n";
    let files = [File::new("src/app.rs", "use used_one::A;\n// unused::B\n")];
    assert_eq!(unused(manifest, "dependencies", &files), ["unused"]);
}

// The scanner.

#[test]
fn texts_comments_and_lifetimes_are_no_code() {
    let text =
        "fn f<'a>(c: char) { g(\"fn \\\" {\", r#\"use \"a\"\"#, '\"', '\\'', b'{'); } /* } */ // fn\nfn h() {}\n";
    let scanned = Scanned::new(text);
    let functions: Vec<_> = scanned.functions().iter().map(|function| (function.name, function.line)).collect();
    assert_eq!(functions, [("f", 1), ("h", 2)]);
    assert!(scanned.paths().is_empty());
}

#[test]
fn what_stands_under_cfg_test_is_left_out() {
    let text = "#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests;\n#[cfg(test)]\nuse a::{b};\nfn kept() {}\n\
                #[cfg(test)]\nmod more {\n    fn gone() {}\n}\nstruct Kept;\n";
    let scanned = Scanned::new(text);
    let names: Vec<&str> = scanned.definitions().iter().map(|word| word.text).collect();
    assert_eq!(names, ["kept", "Kept"]);
    assert_eq!((scanned.test_modules, scanned.test_lines), (vec!["tests"], 9));
}

#[test]
fn a_use_is_spread_into_its_paths() {
    let text =
        "pub use a::{self, b::{c as d, e}, f::*};\nfn g() -> impl Sized + use<'_> { h::<A>::i(); j::k::<B>() }\n";
    let paths: Vec<String> = Scanned::new(text).paths().iter().map(|path| path.parts.join("::")).collect();
    assert_eq!(paths, ["a::self", "a::b::c", "a::b::e", "a::f::*", "h", "j::k"]);
}
