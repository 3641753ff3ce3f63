//! The files of the repository, and which of them are tests.

use std::fs;
use std::path::Path;

use crate::scan::Scanned;

/// A text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path below the root, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Its module below `src/`, as `resolve/decide`.
    pub fn module(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        inner.strip_suffix("/mod").unwrap_or(inner)
    }
}

/// All text files of the repository.
pub fn texts() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    gather(root, root, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The modules below `src/`, without those that are only there for tests.
pub fn modules() -> Vec<File> {
    let is_source = |file: &File| file.path.starts_with("src/") && file.path.ends_with(".rs");
    let all: Vec<File> = texts().into_iter().filter(is_source).collect();
    let of_tests: Vec<String> = all.iter().flat_map(test_modules).collect();
    let is_test = |file: &File| of_tests.iter().any(|module| crate::rooms::is_below(file.module(), module));
    let kept: Vec<File> = all.into_iter().filter(|file| !is_test(file)).collect();
    assert!(kept.len() > 100, "only {} modules were found: the search is wrong", kept.len());
    kept
}

fn test_modules(file: &File) -> Vec<String> {
    let names = Scanned::new(&file.text).test_modules;
    names.into_iter().map(|name| format!("{}/{name}", file.module())).collect()
}

/// What git does not keep either.
const LEFT_OUT: [&str; 3] = [".git", "target", ".env"];

fn gather(root: &Path, folder: &Path, found: &mut Vec<File>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        } else if kind.is_dir() {
            gather(root, &path, found);
        } else if let (true, Ok(text)) = (kind.is_file(), fs::read_to_string(&path)) {
            let inner = path.strip_prefix(root).unwrap();
            found.push(File { path: inner.to_string_lossy().replace('\\', "/"), text });
        }
    }
}
