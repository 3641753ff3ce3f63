//! Contests: which of two edits of one field is true now, under the field's rule.
//!
//! In: the value that is true, an edit, and what its author saw. Out: who wins. All who decide come here: readings,
//! corrections, guests. Pure.

use std::collections::BTreeMap;

use crate::model::{Author, Field, FieldRule, FieldRules, Key, Kind, Order, Stamp, Stamped, Value};

/// What a contest is decided by.
#[derive(Debug, Clone, Copy)]
pub struct Contest<'a> {
    /// How stamps are ordered.
    pub order: &'a Order,
    /// The field's rule.
    pub rule: FieldRule,
    /// Whether the field is a tag: there or not.
    pub tag: bool,
}

/// An edit, and what it was made upon.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    /// What its author replaced.
    pub base: &'a Value,
    /// What it says, and when.
    pub made: &'a Stamped,
    /// Whether its author had not seen what is true, although somebody had said it.
    pub rival: bool,
}

/// Who wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Winner {
    /// The edit is true now.
    Edit,
    /// What was true stays so.
    Former,
    /// Both: this is what became of them.
    Both(Stamped),
    /// A person has to decide.
    Nobody,
}

/// The place of a value in the order of a contest; the larger one wins.
pub type Place = (u8, Key);

impl<'a> Contest<'a> {
    /// A contest in a field of an entity.
    pub fn of(order: &'a Order, rules: &FieldRules, kind: Kind, field: &Field) -> Self {
        Self { order, rule: rules.of(kind, field), tag: field.as_tag().is_some() }
    }

    /// Who wins.
    pub fn settle(&self, former: &Stamped, edit: &Edit<'_>) -> Winner {
        let both = |value| Winner::Both(Stamped { value, stamp: self.joint(former.stamp, edit.made.stamp) });
        match self.rule {
            FieldRule::Union if edit.rival && !self.tag => both(united(&former.value, edit.base, &edit.made.value)),
            FieldRule::Append if edit.rival => self.append(former, edit).map_or_else(|one| one, both),
            FieldRule::Hold
                if edit.rival && *edit.base != former.value && self.needs_a_person(former, edit.made.stamp) =>
            {
                Winner::Nobody
            }
            _ if self.place(edit.made) > self.place(former) => Winner::Edit,
            _ => Winner::Former,
        }
    }

    /// The place of a value in the order: how much its author's word counts, then time.
    pub fn place(&self, one: &Stamped) -> Place {
        (self.weight(one), self.order.key(one.stamp))
    }

    /// The stronger of two stamps of one value.
    pub fn max(&self, value: &Value, a: Stamp, b: Stamp) -> Stamp {
        let [first, second] = [a, b].map(|stamp| Stamped { value: value.clone(), stamp });
        if self.place(&second) > self.place(&first) { b } else { a }
    }

    /// Whether two values say the same: lists do in any order and spelling.
    pub fn is_same(&self, a: &Value, b: &Value) -> bool {
        a == b || (self.rule == FieldRule::Union && a.as_text().is_some() && items(a).keys().eq(items(b).keys()))
    }

    /// The word for what decided between two: the field's rule, unless it was time.
    pub fn word(&self, a: &Stamped, b: &Stamped) -> &'static str {
        let by_rule = self.weight(a) != self.weight(b) || self.rule == FieldRule::Append;
        if by_rule { self.rule.word() } else { "newer" }
    }

    /// What counts more than time: that something was said at all; then who said it, or that it is a value.
    fn weight(&self, Stamped { value, stamp }: &Stamped) -> u8 {
        let preferred = self.rule.preferred().map(Author::from);
        let weak = match self.rule {
            FieldRule::Newest | FieldRule::Hold | FieldRule::Append => return 0,
            FieldRule::NeverBlank => value.is_blank(),
            FieldRule::Union => self.tag && value.is_blank(),
            FieldRule::PreferGhl | FieldRule::PreferTimify | FieldRule::PreferTimerex => {
                Some(stamp.author) != preferred
            }
        };
        match stamp.t.0 {
            // Never said, or only in default of anybody's word.
            0 => 0,
            _ if weak && !stamp.author.is_deliberate() => 1,
            _ => 2,
        }
    }

    /// Whoever acts on purpose decides; only systems can be held against each other.
    fn needs_a_person(&self, former: &Stamped, edit: Stamp) -> bool {
        let decided = former.stamp.author.is_deliberate() && self.order.key(former.stamp) > self.order.key(edit);
        !edit.author.is_deliberate() && !decided
    }

    /// Two texts of which neither may be lost, the older first; or who wins, where one of them is blank.
    fn append(&self, former: &Stamped, edit: &Edit<'_>) -> Result<Value, Winner> {
        let made = edit.made;
        let (Some(was), Some(is)) = (former.value.as_text(), made.value.as_text()) else {
            return Err(if made.value.is_blank() { Winner::Former } else { Winner::Edit });
        };
        if *edit.base == former.value {
            return Ok(made.value.clone());
        }
        let later = self.order.key(made.stamp) > self.order.key(former.stamp);
        let (older, newer) = if later { (was, is) } else { (is, was) };
        if older.lines().all(|line| has(newer, line)) {
            return Ok(Value::text(newer));
        }
        let more = newer.lines().filter(|line| !has(older, line));
        Ok(Value::text(std::iter::once(older).chain(more).collect::<Vec<_>>().join("\n")))
    }

    /// What became of two edits is later than both, and the work of the rule.
    fn joint(&self, a: Stamp, b: Stamp) -> Stamp {
        let last = self.order.max(a, b);
        self.order.after(last, last.t, Author::Rule)
    }
}

/// Whether a text has this line, or has it within a line, but not within a word.
fn has(text: &str, line: &str) -> bool {
    let line = line.trim();
    let in_a_word = |at: usize| {
        let (before, after) = (text[..at].chars().next_back(), text[at + line.len()..].chars().next());
        [(before, line.chars().next()), (after, line.chars().next_back())]
            .into_iter()
            .any(|(outer, inner)| outer.zip(inner).is_some_and(|(o, i)| o.is_alphanumeric() && i.is_alphanumeric()))
    };
    line.is_empty() || text.match_indices(line).any(|(at, _)| !in_a_word(at))
}

/// The items of a list by how they compare, as they are written.
fn items(list: &Value) -> BTreeMap<String, &str> {
    let text = list.as_text().unwrap_or_default();
    let parts = text.split([',', ';', '\n']).map(str::trim).filter(|item| !item.is_empty());
    parts.map(|item| (item.to_lowercase(), item)).collect()
}

/// What is true after both edits of a list: without what either took out of what it saw, with what either added. Where that
/// is one of the two it is written as there; else in order, so that it does not matter who was heard first.
fn united(former: &Value, base: &Value, edit: &Value) -> Value {
    let (was, saw, is) = (items(former), items(base), items(edit));
    let mut all = was.clone();
    all.retain(|item, _| is.contains_key(item) || !saw.contains_key(item));
    for (item, text) in is.iter().filter(|(item, _)| !saw.contains_key(*item)) {
        all.entry(item.clone()).and_modify(|one| *one = text.min(one)).or_insert(text);
    }
    let same = [(&was, former), (&is, edit)].into_iter().filter(|(list, _)| list.keys().eq(all.keys()));
    if let Some(same) = same.map(|(_, value)| value).min() {
        return same.clone();
    }
    let uses = |sign: char| [former, edit].iter().any(|list| list.as_text().is_some_and(|text| text.contains(sign)));
    let between = [('\n', "\n"), (';', "; ")].into_iter().find(|(sign, _)| uses(*sign)).map_or(", ", |(_, text)| text);
    Value::text(all.into_values().collect::<Vec<_>>().join(between))
}

#[cfg(test)]
mod tests;
