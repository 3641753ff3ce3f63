//! The configuration before it is understood: a tree of values that know where they stand.
//!
//! In: TOML text and environment variables. Out: one [`Node`], the environment laid over the text. What the values mean
//! is left to the sections.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Mistake;

/// Variables of the environment that set a key start so and have `__` between the parts of the key.
const PREFIX: &str = "LOCKSTEP_";

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the file, on this line (from 1).
    Line(usize),
    /// In this variable of the environment.
    Variable(String),
    /// Nowhere: the default in the code.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Variable(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub source: Source,
    pub value: Tree,
}

/// A value. Text from the environment may stand for a number, a boolean or, with commas, a list.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// A kind of value that no key takes, by its name.
    Other(&'static str),
}

impl Tree {
    /// What it is, for a mistake.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(what) => what,
        }
    }
}

impl Node {
    /// Whether it came from the environment, where everything is text.
    pub fn is_from_environment(&self) -> bool {
        matches!(self.source, Source::Variable(_))
    }

    /// Reads TOML. All mistakes of form are found, not only the first.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let lines = Lines::of(text);
            let value = Tree::Table(lines.table(root.get_ref()));
            return Ok(Self { source: Source::Line(1), value });
        }
        let lines = Lines::of(text);
        let place = |span: Option<Range<usize>>| span.map_or(1, |span| lines.at(span.start));
        Err(errors.iter().map(|e| Mistake::new(Source::Line(place(e.span())), "", e.message())).collect())
    }

    /// Lays the variables of the environment over the file.
    pub fn overlay(&mut self, variables: &[(String, String)]) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (name, text) in variables {
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains("__")) else { continue };
            let source = Source::Variable(name.clone());
            let path: Vec<&str> = key.split("__").collect();
            let leaf = Node { source: source.clone(), value: Tree::Text(text.clone()) };
            if self.set(&path, leaf).is_none() {
                mistakes.push(Mistake::new(
                    source,
                    &path.join(".").to_lowercase(),
                    "names no place in the configuration",
                ));
            }
        }
        mistakes
    }

    fn set(&mut self, path: &[&str], leaf: Node) -> Option<()> {
        let (first, rest) = path.split_first().filter(|(first, _)| !first.is_empty())?;
        let empty = Node { source: leaf.source.clone(), value: Tree::Table(BTreeMap::new()) };
        match &mut self.value {
            Tree::Table(table) => {
                let key = spelled(table, first);
                if rest.is_empty() {
                    // A secret set here replaces the file that the TOML names for it, and the other way round.
                    table.remove(&format!("{key}_file"));
                    key.strip_suffix("_file").map(|plain| table.remove(plain));
                    table.insert(key, leaf);
                    return Some(());
                }
                // The first variable of a list (`WORKSPACES__0__NAME`) makes it.
                let list = first_is_index(rest).then(|| Node { value: Tree::List(Vec::new()), ..empty.clone() });
                table.entry(key).or_insert(list.unwrap_or(empty)).set(rest, leaf)
            }
            Tree::List(items) => {
                let at: usize = first.parse().ok().filter(|at| *at <= items.len())?;
                if at == items.len() {
                    items.push(empty);
                }
                if rest.is_empty() {
                    items[at] = leaf;
                    return Some(());
                }
                items[at].set(rest, leaf)
            }
            _ => None,
        }
    }
}

fn first_is_index(path: &[&str]) -> bool {
    path.first().is_some_and(|part| part.parse::<usize>().is_ok())
}

/// The key as the file spells it: variables are upper case and know no `-`.
fn spelled(table: &BTreeMap<String, Node>, part: &str) -> String {
    let plain = |key: &str| key.to_lowercase().replace('-', "_");
    table.keys().find(|key| plain(key) == plain(part)).cloned().unwrap_or_else(|| part.to_lowercase())
}

/// Where the lines of a text start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of a byte, from 1.
    fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|end| *end < byte) + 1
    }

    fn table(&self, table: &DeTable<'_>) -> BTreeMap<String, Node> {
        table.iter().map(|(key, value)| (key.get_ref().to_string(), self.node(key.span(), value))).collect()
    }

    fn node(&self, place: Range<usize>, value: &Spanned<DeValue<'_>>) -> Node {
        let item = |item: &Spanned<DeValue<'_>>| self.node(item.span(), item);
        let value = match value.get_ref() {
            DeValue::String(text) => Tree::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
                .map_or(Tree::Other("a number that is too large"), Tree::Integer),
            DeValue::Boolean(truth) => Tree::Boolean(*truth),
            DeValue::Array(items) => Tree::List(items.iter().map(item).collect()),
            DeValue::Table(table) => Tree::Table(self.table(table)),
            DeValue::Float(_) => Tree::Other("a number with a fraction"),
            DeValue::Datetime(_) => Tree::Other("a date"),
        };
        Node { source: Source::Line(self.at(place.start)), value }
    }
}

/// A text as TOML would quote it, for showing.
pub(super) fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}
