//! A customer's one notes text: what people typed themselves, and below it a block of ours with the notes of other systems.
//! Pure.
//!
//! In: the text as TIMIFY holds it, or notes by key. Out: the notes, or the text. Laws: a person's own text is never changed,
//! byte for byte; once the last note is gone the block goes, together with the blank line above it; what is printed parses to
//! what it was, and a block that lost its end line has none until a person puts it back. Staff edit the whole text, so the parser forgives: a missing end line, own text below the block, other line
//! ends, blanks around, a block that was moved or pasted twice, the same key twice, lines without a key.

use crate::model::Value;

/// What the begin and the end line are known by, after at least three dashes.
const BEGIN: &str = "Lockstep notes";
const END: &str = "End of Lockstep notes";
const BEGIN_LINE: &str = "--- Lockstep notes: kept by Lockstep. Please write your own text above this line. ---";
const END_LINE: &str = "--- End of Lockstep notes ---";
/// What stands before a line that would be read as one of the block's own.
const ESCAPE: char = '\\';
/// The hexadecimal digits of a key.
pub(super) const KEY: usize = 10;

/// One note of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// [`KEY`] hexadecimal digits.
    pub key: String,
    /// Its text in normal form ([`Value::text`]); may have several lines.
    pub text: String,
}

/// A notes text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notebook {
    /// A person's own text above the block.
    above: String,
    /// The notes, in their order.
    items: Vec<Item>,
    /// A person's own text below the block.
    below: String,
    /// Whether the block has its end: if not, the text may have been cut, and what is missing says nothing.
    whole: bool,
}

impl Notebook {
    /// Takes a text apart.
    pub(super) fn parse(text: &str) -> Self {
        let mut parser = Parser::default();
        for line in text.split_inclusive('\n') {
            parser.line(line);
        }
        parser.done()
    }

    /// The whole text.
    pub(super) fn print(&self) -> String {
        if self.items.is_empty() && self.whole {
            return self.own();
        }
        // Without its end the text stays one that may have been cut: else what is missing would be taken for deleted. Nothing
        // may follow it then.
        let (mut text, below) = if self.whole { (self.above.clone(), self.below.as_str()) } else { (self.own(), "") };
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(BEGIN_LINE);
        for item in &self.items {
            text.push_str("\n[#");
            text.push_str(&item.key);
            text.push(']');
            for (at, line) in item.text.split('\n').enumerate() {
                text.push(if at == 0 { ' ' } else { '\n' });
                // The first line stands behind the key, and cannot be mistaken.
                if at > 0 && is_mistakable(line) {
                    text.push(ESCAPE);
                }
                text.push_str(line);
            }
        }
        if self.whole {
            text.push('\n');
            text.push_str(END_LINE);
        }
        if !below.is_empty() {
            text.push('\n');
            text.push_str(below);
        }
        text
    }

    /// A person's own text.
    pub(super) fn own(&self) -> String {
        join([self.above.as_str(), self.below.as_str()])
    }

    /// The notes, in their order.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// The text of a note.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.items.iter().find(|item| item.key == key).map(|item| item.text.as_str())
    }

    /// Whether everything of ours is there, so that what is missing is gone.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Writes a note: the one with this key, or a new one below the others.
    pub(super) fn put(&mut self, key: &str, text: &str) {
        let text = normal(text);
        match self.items.iter_mut().find(|item| item.key == key) {
            Some(item) => item.text = text,
            None => self.items.push(Item { key: key.to_owned(), text }),
        }
    }

    /// Takes a note out; with the last one the block goes.
    pub(super) fn remove(&mut self, key: &str) {
        self.items.retain(|item| item.key != key);
        if self.items.is_empty() && self.whole {
            *self = Self { above: self.own(), items: Vec::new(), below: String::new(), whole: true };
        }
    }
}

/// The parts that are not empty, each on lines of its own.
fn join<const N: usize>(parts: [&str; N]) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn normal(text: &str) -> String {
    Value::text(text).as_text().unwrap_or_default().to_owned()
}

/// Takes a text in, line by line.
#[derive(Default)]
struct Parser {
    /// Own text above the first block; `None` as long as no block was met.
    above: Option<String>,
    below: String,
    /// Own text since the last block.
    own: String,
    /// Lines in a block above its first note.
    stray: String,
    items: Vec<Item>,
    /// The note that the next line belongs to, in a block.
    last: Option<usize>,
    inside: bool,
}

impl Parser {
    fn line(&mut self, line: &str) {
        let content = line.trim_end_matches(['\n', '\r']);
        if !self.inside && is_marker(content, BEGIN) {
            self.begin();
        } else if !self.inside {
            self.own.push_str(line);
        } else if is_marker(content, END) {
            self.end();
        } else if let Some((key, text)) = item(content) {
            self.start(key, text);
        } else if is_marker(content, BEGIN) {
            // Pasted into itself: it says nothing.
        } else if let Some(item) = self.last.and_then(|last| self.items.get_mut(last)) {
            item.text.push('\n');
            item.text.push_str(unescaped(content));
        } else {
            self.stray.push_str(content);
            self.stray.push('\n');
        }
    }

    fn begin(&mut self) {
        let own = std::mem::take(&mut self.own);
        self.keep(unglued(&own));
        self.inside = true;
    }

    fn end(&mut self) {
        let stray = std::mem::take(&mut self.stray);
        let stray = stray.strip_suffix('\n').filter(|stray| !stray.trim().is_empty()).unwrap_or_default();
        if self.below.is_empty() {
            self.above = Some(join([self.above.as_deref().unwrap_or_default(), stray]));
        } else {
            self.below = join([&self.below, stray]);
        }
        (self.inside, self.last) = (false, None);
    }

    fn keep(&mut self, own: &str) {
        match &self.above {
            None => self.above = Some(own.to_owned()),
            Some(_) => self.below = join([&self.below, own]),
        }
    }

    /// A key that was there before: the same note pasted twice is one; what differs is not lost.
    fn start(&mut self, key: &str, text: &str) {
        self.items.push(Item { key: key.to_owned(), text: text.to_owned() });
        self.last = Some(self.items.len() - 1);
    }

    fn done(mut self) -> Notebook {
        let whole = !self.inside;
        if self.inside {
            self.end();
        }
        let own = std::mem::take(&mut self.own);
        if self.above.is_none() || !own.is_empty() {
            self.keep(&own);
        }
        let mut items: Vec<Item> = Vec::with_capacity(self.items.len());
        for Item { key, text } in self.items {
            let text = normal(&text);
            match items.iter_mut().find(|item| item.key == key) {
                None => items.push(Item { key, text }),
                Some(item) if item.text == text || text.is_empty() => {}
                Some(item) => item.text = normal(&format!("{}\n{text}", item.text)),
            }
        }
        let mut read = Notebook { above: self.above.unwrap_or_default(), items, below: self.below, whole };
        if read.items.is_empty() {
            read = Notebook { above: read.own(), below: String::new(), ..read };
        }
        read
    }
}

/// Own text above a block, without the blank line that we put between them.
fn unglued(own: &str) -> &str {
    ["\r\n\r\n", "\n\n", "\r\n", "\n"].iter().find_map(|glue| own.strip_suffix(glue)).unwrap_or(own)
}

/// Whether a line is one of the block's own, by the words after its dashes.
fn is_marker(line: &str, words: &str) -> bool {
    let line = line.trim_start();
    let bare = line.trim_start_matches(['-', '–', '—']);
    let dashes = line.chars().take_while(|sign| ['-', '–', '—'].contains(sign));
    // Some editors make one long dash of several short ones.
    let width: usize = dashes.map(|dash| if dash == '-' { 1 } else { 3 }).sum();
    width >= 3 && bare.trim_start().starts_with(words)
}

/// The key of a note's first line, and the rest of it.
fn item(line: &str) -> Option<(&str, &str)> {
    let (key, text) = line.trim_start().strip_prefix("[#")?.split_once(']')?;
    is_key(key).then_some((key, text))
}

/// Whether a text is a key of ours.
pub(super) fn is_key(key: &str) -> bool {
    key.len() == KEY && key.bytes().all(|sign| sign.is_ascii_digit() || (b'a'..=b'f').contains(&sign))
}

/// Whether a line of a note would be read as something else; also one that only its escape keeps from that.
fn is_mistakable(line: &str) -> bool {
    let bare = line.trim_start_matches(ESCAPE);
    is_marker(bare, BEGIN) || is_marker(bare, END) || item(bare).is_some()
}

fn unescaped(line: &str) -> &str {
    line.strip_prefix(ESCAPE).filter(|rest| is_mistakable(rest)).unwrap_or(line)
}

#[cfg(test)]
mod tests;
