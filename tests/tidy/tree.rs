//! The files of the repository, and which of them are tests.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use crate::rooms::is_below;
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

    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|ending| ending == "rs")
    }

    /// Its module below `src/`, as `resolve/decide`.
    pub fn module(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        inner.strip_suffix("/mod").unwrap_or(inner)
    }
}

/// The folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All text files of the repository.
pub static TEXTS: LazyLock<Vec<File>> = LazyLock::new(|| {
    let mut found = Vec::new();
    let read = gather(root(), &mut found);
    assert!(read.is_ok(), "the repository cannot be read: {read:?}");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
});

/// The modules below `src/`, without those that are only there for tests.
pub static MODULES: LazyLock<Vec<&File>> = LazyLock::new(|| {
    let is_source = |file: &&File| file.path.starts_with("src/") && file.is_rust();
    let all: Vec<&File> = TEXTS.iter().filter(is_source).collect();
    let of_tests: Vec<String> = all.iter().copied().flat_map(test_modules).collect();
    let is_test = |file: &File| of_tests.iter().any(|module| is_below(file.module(), module));
    let kept: Vec<&File> = all.into_iter().filter(|file| !is_test(file)).collect();
    assert!(kept.len() > 100, "only {} modules were found: the search is wrong", kept.len());
    kept
});

/// All Rust of the repository.
pub fn rust() -> impl Iterator<Item = &'static File> {
    TEXTS.iter().filter(|file| file.is_rust())
}

fn test_modules(file: &File) -> Vec<String> {
    let names = Scanned::new(&file.text).test_modules;
    names.into_iter().map(|name| format!("{}/{name}", file.module())).collect()
}

/// What git does not keep either.
const LEFT_OUT: [&str; 3] = [".git", "target", ".env"];

fn gather(folder: &Path, found: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_dir() {
            gather(&path, found)?;
        } else if let (true, Ok(text)) = (kind.is_file(), fs::read_to_string(&path)) {
            let inner = path.strip_prefix(root()).unwrap_or(&path);
            found.push(File { path: inner.to_string_lossy().replace('\\', "/"), text });
        }
    }
    Ok(())
}
