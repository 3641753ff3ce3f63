//! Reads Rust as words, well enough to ask what a file imports, what it defines and how long its functions are.
//!
//! In: a file's text. Out: its words with their lines, without comments and texts, and without what stands under
//! `#[cfg(test)]`; from them paths, definitions, functions. What is right or wrong is left to the rules.

use std::ops::Range;

/// A word or a sign, and the line it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    pub text: &'a str,
    pub line: usize,
}

/// A path as it is written, with its alternatives spread out: `use a::{b, c};` is `a::b` and `a::c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub parts: Vec<String>,
    pub line: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function<'a> {
    pub name: &'a str,
    pub line: usize,
    pub lines: usize,
}

/// A file without its tests.
#[derive(Debug)]
pub struct Scanned<'a> {
    pub words: Vec<Word<'a>>,
    /// The modules that it declares for tests only.
    pub test_modules: Vec<&'a str>,
    /// How many lines stand under `#[cfg(test)]`.
    pub test_lines: usize,
}

/// Cuts a text into words; comments go, and of a text in quotes the quotes stay.
pub fn words(text: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = length_of(rest, first);
        if !first.is_whitespace() && !rest.starts_with("//") && !rest.starts_with("/*") {
            let quoted = first == '"' || is_char(rest) || raw_hashes(rest).is_some();
            found.push(Word { text: if quoted { "\"" } else { &rest[..length] }, line });
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    found
}

fn length_of(rest: &str, first: char) -> usize {
    let until = |end: &str| rest.find(end).map_or(rest.len(), |at| at + end.len());
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        until("*/")
    } else if let Some((prefix, hashes)) = raw_hashes(rest) {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = prefix + hashes + 1;
        rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len())
    } else if first == '"' || is_char(rest) {
        quoted(rest, first)
    } else if is_word(first) || (first == '\'' && rest.len() > 1) {
        let more = rest[first.len_utf8()..].find(|c| !is_word(c));
        more.map_or(rest.len(), |more| first.len_utf8() + more)
    } else if rest.starts_with("::") {
        2
    } else {
        first.len_utf8()
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A quote that opens a character; else it opens a lifetime.
fn is_char(rest: &str) -> bool {
    let mut after = rest.chars();
    after.next() == Some('\'') && (after.next() == Some('\\') || after.next() == Some('\''))
}

/// Of a raw text: how long its prefix is, and how many hashes follow.
fn raw_hashes(rest: &str) -> Option<(usize, usize)> {
    let prefix = ["br", "r"].into_iter().find(|prefix| rest.starts_with(prefix))?.len();
    let hashes = rest[prefix..].chars().take_while(|c| *c == '#').count();
    rest[prefix + hashes..].starts_with('"').then_some((prefix, hashes))
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

impl<'a> Scanned<'a> {
    /// Scans a file.
    pub fn new(text: &'a str) -> Self {
        let all = words(text);
        let mut scanned = Self { words: Vec::new(), test_modules: Vec::new(), test_lines: 0 };
        let mut at = 0;
        while at < all.len() {
            if !starts_with(&all[at..], &["#", "[", "cfg", "(", "test", ")", "]"]) {
                scanned.words.push(all[at]);
                at += 1;
                continue;
            }
            let end = end_of_item(&all, at + 7);
            let item = &all[at..end];
            scanned.test_lines += item[item.len() - 1].line - all[at].line + 1;
            if let [.., name, last] = item
                && last.text == ";"
                && item[item.len() - 3].text == "mod"
            {
                scanned.test_modules.push(name.text);
            }
            at = end;
        }
        scanned
    }

    /// What it uses by a path, in `use` and in line.
    pub fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.words.len() {
            let word = self.words[at];
            let follows = at > 0 && matches!(self.words[at - 1].text, "::" | ".");
            if word.text == "use" && !self.is(at + 1, "<") {
                at = spread(&self.words, at + 1, &[], &mut found);
            } else if !follows && is_name(word.text) && self.is(at + 1, "::") {
                let mut parts = vec![word.text.to_owned()];
                while self.is(at + 1, "::") && self.words.get(at + 2).is_some_and(|next| is_name(next.text)) {
                    at += 2;
                    parts.push(self.words[at].text.to_owned());
                }
                found.push(Path { parts, line: word.line });
                at += 1;
            } else {
                at += 1;
            }
        }
        found
    }

    /// Functions with a body.
    pub fn functions(&self) -> Vec<Function<'a>> {
        let named = |at: &usize| self.is(*at, "fn") && self.words.get(at + 1).is_some_and(|next| is_name(next.text));
        let measured = |at: usize| {
            let end = end_of_item(&self.words, at);
            let (first, last) = (self.words[at], self.words[end - 1]);
            let lines = last.line - first.line + 1;
            (last.text == "}").then_some(Function { name: self.words[at + 1].text, line: first.line, lines })
        };
        (0..self.words.len()).filter(named).filter_map(measured).collect()
    }

    /// What it gives a name to: modules, types, traits and functions.
    pub fn definitions(&self) -> Vec<Word<'a>> {
        let defines = ["mod", "struct", "enum", "trait", "type", "fn", "union"];
        let pairs = self.words.windows(2);
        pairs.filter(|pair| defines.contains(&pair[0].text) && is_name(pair[1].text)).map(|pair| pair[1]).collect()
    }

    /// Where these words stand in a row.
    pub fn lines_with(&self, row: &[&str]) -> Vec<usize> {
        let at = |at: &usize| starts_with(&self.words[*at..], row);
        (0..self.words.len()).filter(at).map(|at| self.words[at].line).collect()
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.words.get(at).is_some_and(|word| word.text == text)
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn starts_with(words: &[Word<'_>], row: &[&str]) -> bool {
    words.len() >= row.len() && words.iter().zip(row).all(|(word, text)| word.text == *text)
}

/// One past the last word of the item that starts here: its `;`, or the brace that closes its body.
fn end_of_item(words: &[Word<'_>], start: usize) -> usize {
    let mut depth = 0_usize;
    let kinds = ["use", "fn", "mod", "impl", "struct", "enum", "trait", "type", "const", "static"];
    let kind = words[start..].iter().find(|word| kinds.contains(&word.text));
    let imports = kind.is_some_and(|word| word.text == "use");
    for (at, word) in words.iter().enumerate().skip(start) {
        match word.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && !imports {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    words.len()
}

/// Spreads one branch of a `use`, and gives where it ends: past its `;` or `,`, or at the `}` that closes its group.
fn spread(words: &[Word<'_>], start: usize, before: &[String], found: &mut Vec<Path>) -> usize {
    let mut parts = before.to_vec();
    let mut at = start;
    let mut grouped = false;
    while let Some(word) = words.get(at) {
        match word.text {
            ";" | "," | "}" => break,
            "{" => {
                grouped = true;
                at += 1;
                while words.get(at).is_some_and(|word| word.text != "}") {
                    at = spread(words, at, &parts, found);
                }
            }
            "as" => at += 1,
            "::" => {}
            name => parts.push(name.to_owned()),
        }
        at += 1;
    }
    let line = words.get(start).map_or(0, |word| word.line);
    if !grouped && parts.len() > before.len() {
        found.push(Path { parts, line });
    }
    at + usize::from(words.get(at).is_some_and(|word| word.text != "}"))
}

/// The lines of a text in which a word stands by itself.
pub fn lines_saying<'a>(text: &'a str, said: &'a str) -> impl Iterator<Item = usize> + 'a {
    let alone = move |line: &str| {
        let stands = |Range { start, end }: Range<usize>| {
            !(line[..start].ends_with(is_word) || said.ends_with(is_word) && line[end..].starts_with(is_word))
        };
        line.match_indices(said).any(|(at, _)| stands(at..at + said.len()))
    };
    text.lines().enumerate().filter(move |(_, line)| alone(line)).map(|(at, _)| at + 1)
}
