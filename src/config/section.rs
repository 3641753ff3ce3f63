//! Reading sections: each key asked once, each mistake kept with its place, each value noted for showing.
//!
//! A key that no section asked for is unknown; so the code that reads a section is also the list of its keys.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::setting::Setting;
use super::tree::{Node, Source, Tree, quoted};
use crate::secret::Secret;

/// One mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file; empty for a mistake of the environment.
    pub file: String,
    /// Where.
    pub source: Source,
    /// The key, as `section.key`.
    pub key: String,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl Mistake {
    pub(super) fn new(source: Source, key: &str, text: impl Into<String>) -> Self {
        Self { file: String::new(), source, key: key.to_owned(), text: text.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Line(line) => write!(f, "{}:{line}: ", self.file)?,
            Source::Variable(name) => write!(f, "{name}: ")?,
            Source::Default => write!(f, "{}: ", self.file)?,
        }
        if self.key.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.key, self.text) }
    }
}

/// All mistakes of a configuration, in the order of their lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// One value as it counts, for showing; secrets are not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The key, as `section.key`.
    pub key: String,
    /// The value, as it could stand in the file; `None`: not set, and no default.
    pub value: Option<String>,
    /// Where it stands.
    pub source: Source,
}

/// What reading leaves behind.
#[derive(Debug)]
pub(super) struct Notes {
    /// Files that keys name are looked for here.
    base: PathBuf,
    mistakes: RefCell<Vec<Mistake>>,
    shown: RefCell<Vec<Shown>>,
}

impl Notes {
    pub fn new(base: &Path, mistakes: Vec<Mistake>) -> Self {
        Self { base: base.to_owned(), mistakes: RefCell::new(mistakes), shown: RefCell::default() }
    }

    /// Notes a mistake at a key that was read before.
    pub fn blame(&self, key: &str, text: impl Into<String>) {
        let source = self.source_of(key);
        self.mistakes.borrow_mut().push(Mistake::new(source, key, text));
    }

    /// Where a key stands, or the nearest thing around it.
    fn source_of(&self, key: &str) -> Source {
        let shown = self.shown.borrow();
        let exact = shown.iter().find(|shown| shown.key == key).filter(|shown| shown.source != Source::Default);
        let near = key.rsplit_once('.').map(|(around, _)| format!("{around}."));
        let beside = || {
            let set = shown.iter().filter(|shown| shown.source != Source::Default);
            near.and_then(|near| set.into_iter().find(|shown| shown.key.starts_with(&near)))
        };
        exact.or_else(beside).map_or(Source::Default, |shown| shown.source.clone())
    }

    pub fn finish(self) -> (Vec<Shown>, Vec<Mistake>) {
        (self.shown.into_inner(), self.mistakes.into_inner())
    }
}

/// One table that is being read.
#[derive(Debug)]
pub(super) struct Section<'a> {
    notes: &'a Notes,
    path: String,
    node: Option<&'a Node>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Section<'a> {
    /// Reads the root table.
    pub fn root<R>(notes: &'a Notes, node: &'a Node, read: impl FnOnce(&Section<'a>) -> R) -> R {
        Self::open(notes, String::new(), Some(node), read)
    }

    fn open<R>(notes: &'a Notes, path: String, node: Option<&'a Node>, read: impl FnOnce(&Section<'a>) -> R) -> R {
        let section = Section { notes, path, node, asked: RefCell::default() };
        if let Some(Node { source, value }) = node.filter(|node| !matches!(node.value, Tree::Table(_))) {
            section.note_at(source.clone(), "", format!("expected a table, found {}", value.what()));
        }
        let result = read(&section);
        let asked = section.asked.borrow();
        for (key, node) in section.entries().filter(|(key, _)| !asked.contains(*key)) {
            section.note_at(node.source.clone(), key, "unknown key");
        }
        drop(asked);
        result
    }

    /// The path of a key of this section.
    pub fn path(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{key}", self.path),
        }
    }

    fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Node)> + use<'a> {
        let table = match self.node.map(|node| &node.value) {
            Some(Tree::Table(table)) => Some(table),
            _ => None,
        };
        table.into_iter().flatten()
    }

    fn at(&self, key: &str) -> Option<&'a Node> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.entries().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    fn note_at(&self, source: Source, key: &str, text: impl Into<String>) {
        self.notes.mistakes.borrow_mut().push(Mistake::new(source, &self.path(key), text));
    }

    /// Notes a mistake at a key of this section.
    pub fn mistake(&self, key: &str, text: impl Into<String>) {
        let here = self.node.map_or(Source::Default, |node| node.source.clone());
        let node = self.entries().find(|(name, _)| *name == key);
        self.note_at(node.map_or(here, |(_, node)| node.source.clone()), key, text);
    }

    fn show(&self, key: &str, value: Option<String>, source: Source) {
        self.notes.shown.borrow_mut().push(Shown { key: self.path(key), value, source });
    }

    /// The names of its keys, where they are free.
    pub fn keys(&self) -> Vec<String> {
        self.entries().map(|(name, _)| name.clone()).collect()
    }

    /// Reads a key and shows it, without saying anything of one that is absent.
    fn read<T: Setting>(&self, key: &str) -> Option<T> {
        let node = self.at(key)?;
        match T::read(node) {
            Ok(value) => {
                self.show(key, Some(value.show()), node.source.clone());
                Some(value)
            }
            Err(text) => {
                self.note_at(node.source.clone(), key, text);
                None
            }
        }
    }

    /// A key that may be left out.
    pub fn maybe<T: Setting>(&self, key: &str) -> Option<T> {
        let value = self.read(key);
        if self.at(key).is_none() {
            self.show(key, None, Source::Default);
        }
        value
    }

    /// A key with a default.
    pub fn or<T: Setting>(&self, key: &str, default: T) -> T {
        if self.at(key).is_none() {
            self.show(key, Some(default.show()), Source::Default);
        }
        self.read(key).unwrap_or(default)
    }

    /// A key that must be there. `None` is a mistake that is already noted.
    pub fn must<T: Setting>(&self, key: &str) -> Option<T> {
        if self.at(key).is_none() {
            self.mistake(key, "is missing");
        }
        self.read(key)
    }

    /// A secret, from `key` or from the file that `key_file` names.
    pub fn secret(&self, key: &str) -> Option<Secret> {
        let secret = self.secret_text(key);
        if self.at(key).is_none() && secret.is_none() {
            self.show(key, None, Source::Default);
        }
        secret
    }

    /// A secret with a default that is none (an address that may carry a password).
    pub fn secret_or(&self, key: &str, default: &str) -> Secret {
        self.secret_text(key).unwrap_or_else(|| {
            self.show(key, Some(quoted(default)), Source::Default);
            Secret::new(default)
        })
    }

    fn secret_text(&self, key: &str) -> Option<Secret> {
        let in_file = format!("{key}_file");
        let (node, named, read) = match (self.at(key), self.at(&in_file)) {
            (Some(_), Some(_)) => {
                self.mistake(&in_file, format!("is set besides `{key}`; keep one of them"));
                return None;
            }
            (None, None) => return None,
            (Some(node), None) => (node, key, String::read(node)),
            (None, Some(node)) => (node, in_file.as_str(), self.file(node)),
        };
        let text = read.map_err(|text| self.mistake(named, text)).ok()?;
        self.show(key, Some(quoted("[secret]")), node.source.clone());
        Some(Secret::new(text))
    }

    /// A list of secrets, from `key`, or line by line from the file that `key_file` names.
    pub fn secrets(&self, key: &str) -> Vec<Secret> {
        let in_file = format!("{key}_file");
        let found = match (self.at(key), self.at(&in_file)) {
            (Some(_), Some(_)) => {
                self.mistake(&in_file, format!("is set besides `{key}`; keep one of them"));
                return Vec::new();
            }
            (None, None) => None,
            (Some(node), None) => Some((node, key, <Vec<String>>::read(node))),
            (None, Some(node)) => Some((node, in_file.as_str(), self.file(node).map(|text| lines(&text)))),
        };
        let Some((node, named, read)) = found else {
            self.show(key, None, Source::Default);
            return Vec::new();
        };
        let texts = read.unwrap_or_else(|text| {
            self.mistake(named, text);
            Vec::new()
        });
        self.show(key, Some(vec!["[secret]".to_owned(); texts.len()].show()), node.source.clone());
        texts.into_iter().map(Secret::new).collect()
    }

    fn file(&self, node: &Node) -> Result<String, String> {
        let path = self.notes.base.join(String::read(node)?);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let text = text.trim();
        if text.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(text.to_owned()) }
    }

    /// A table of this section; an absent one reads as empty.
    pub fn table<R>(&self, key: &str, read: impl FnOnce(&Section<'a>) -> R) -> R {
        Self::open(self.notes, self.path(key), self.at(key), read)
    }

    /// A table of this section, if it is there.
    pub fn table_if<R>(&self, key: &str, read: impl FnOnce(&Section<'a>) -> R) -> Option<R> {
        let node = self.at(key)?;
        Some(Self::open(self.notes, self.path(key), Some(node), read))
    }

    /// Tables that stand under names of their own (`[connections.NAME]`).
    pub fn named<R>(&self, key: &str, read: impl Fn(&str, &Section<'a>) -> R) -> Vec<R> {
        self.table(key, |all| {
            let one = |(name, node): (&String, &'a Node)| {
                all.asked.borrow_mut().insert(name.clone());
                Self::open(self.notes, all.path(name), Some(node), |section| read(name, section))
            };
            all.entries().map(|(name, node)| one((name, node))).collect()
        })
    }

    /// A list of tables (`[[workspaces]]`).
    pub fn tables<R>(&self, key: &str, read: impl Fn(&Section<'a>) -> R) -> Vec<R> {
        let Some(node) = self.at(key) else { return Vec::new() };
        let Tree::List(items) = &node.value else {
            self.mistake(key, format!("expected [[{}]] tables, found {}", self.path(key), node.value.what()));
            return Vec::new();
        };
        let path = |at: usize| format!("{}[{at}]", self.path(key));
        items.iter().enumerate().map(|(at, item)| Self::open(self.notes, path(at), Some(item), &read)).collect()
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
}
