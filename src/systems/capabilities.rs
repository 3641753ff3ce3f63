//! The capability table: what each system holds of each object, and what we may do with it there. Pure.
//!
//! In: a system's [`Terms`]. Out: a cell for each object, and its text with numbered notes. `lockstep check`, README and
//! `GET /api/v1/capabilities` all show these cells, and nobody else says what a system can do.

use std::fmt::Write as _;

use serde::Serialize;
use uuid::Uuid;

use crate::clock::Millis;
use crate::model::{CANCELLED, Entity, EntityId, Expressed, Field, Home, Kind, Stamp, System, Terms, Value};

const NO_CANCEL: &str = "it has no call that cancels an appointment";

/// A column of the table: a kind of object, or the tags of contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Object {
    /// Contacts.
    Contact,
    /// The tags of contacts.
    Tag,
    /// Tasks.
    Task,
    /// Notes.
    Note,
    /// Appointments.
    Appointment,
}

impl Object {
    /// Every object, in the order in which the table shows them.
    pub const ALL: [Self; 5] = [Self::Contact, Self::Tag, Self::Task, Self::Note, Self::Appointment];

    /// What the table calls it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Contact => "contacts",
            Self::Tag => "tags",
            Self::Task => "tasks",
            Self::Note => "notes",
            Self::Appointment => "appointments",
        }
    }

    /// The kind that it is, or that carries it.
    fn kind(self) -> Kind {
        match self {
            Self::Contact | Self::Tag => Kind::Contact,
            Self::Task => Kind::Task,
            Self::Note => Kind::Note,
            Self::Appointment => Kind::Appointment,
        }
    }
}

/// Whether we may do something; if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum May {
    /// Yes.
    Yes,
    /// No, for this reason.
    No(String),
}

impl May {
    fn of(result: Result<(), &'static str>) -> Self {
        result.map_or_else(|reason| Self::No(reason.to_owned()), |()| Self::Yes)
    }
}

/// What we may do with the objects of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deeds {
    /// Read them.
    pub read: May,
    /// Make them; of tags, set them.
    pub create: May,
    /// Change them, other than delete or cancel.
    pub change: May,
    /// Delete them; of appointments, cancel them; of tags, take them off.
    pub delete: May,
}

/// One cell: an object in a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The system.
    pub system: System,
    /// The object.
    pub object: Object,
    /// Where it lives: `native`, `extension`, `projected`, `kept` or `refused`.
    pub home: &'static str,
    /// Why it is kept or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What we may do.
    pub may: Deeds,
}

/// The row of a system.
pub fn row(terms: &dyn Terms) -> [Cell; 5] {
    Object::ALL.map(|object| cell(terms, object))
}

fn cell(terms: &dyn Terms, object: Object) -> Cell {
    let kind = object.kind();
    let home = if object == Object::Tag { terms.tags() } else { terms.home(kind) };
    let (home, reason) = match home {
        Home::Native => ("native", None),
        Home::Extension => ("extension", None),
        Home::Projected => ("projected", None),
        Home::Kept(reason) => ("kept", Some(reason)),
        Home::Refused(reason) => ("refused", Some(reason)),
    };
    let may = match (reason, object) {
        (Some(reason), _) => every(&May::No(reason.to_owned())),
        // Whoever may change a contact may change its tags.
        (None, Object::Tag) => Deeds { read: May::Yes, ..every(&May::of(terms.changes(kind))) },
        (None, _) => Deeds {
            read: May::Yes,
            create: May::of(terms.creates(kind)),
            change: May::of(terms.changes(kind)),
            delete: if kind == Kind::Appointment { cancels(terms) } else { May::Yes },
        },
    };
    Cell { system: terms.system(), object, home, reason, may }
}

fn every(may: &May) -> Deeds {
    Deeds { read: may.clone(), create: may.clone(), change: may.clone(), delete: may.clone() }
}

/// Whether an appointment that is cancelled elsewhere can be cancelled here: it has no place here any more, or its status
/// can be written.
fn cancels(terms: &dyn Terms) -> May {
    let (kind, cancelled) = (Kind::Appointment, Value::text(CANCELLED));
    let mut appointment = Entity::new(EntityId(Uuid::nil()), "", kind, Millis(0));
    appointment.set(Field::STATUS, cancelled.clone(), Stamp::NEVER);
    let written = || !terms.carriers(kind, &Field::STATUS, &cancelled, false).is_empty();
    match terms.express(kind, &Field::STATUS, &cancelled) {
        Expressed::Refused(reason) => May::No(reason),
        _ if !terms.wants(&appointment) || written() => May::Yes,
        _ => May::No(NO_CANCEL.to_owned()),
    }
}

impl Cell {
    /// What may be done and what may not: the word for it, and whether.
    fn deeds(&self) -> [(&'static str, &May); 4] {
        let Deeds { read, create, change, delete } = &self.may;
        let end = if self.object == Object::Appointment { "cancel" } else { "delete" };
        [("read", read), ("create", create), ("change", change), (end, delete)]
    }

    /// What may be done of it, where not all may be; nothing where nothing or all may.
    fn some(&self) -> Vec<&'static str> {
        let may: Vec<_> = self.deeds().into_iter().filter(|(_, may)| **may == May::Yes).map(|(word, _)| word).collect();
        if self.reason.is_some() || may.len() == self.deeds().len() { Vec::new() } else { may }
    }

    /// What a person is told of what may not be done.
    fn note(&self) -> Option<String> {
        if let Some(reason) = self.reason {
            return Some(reason.to_owned());
        }
        let mut told: Vec<(Vec<&str>, &str)> = Vec::new();
        for (word, may) in self.deeds() {
            let May::No(reason) = may else { continue };
            match told.iter_mut().find(|(_, known)| known == reason) {
                Some((words, _)) => words.push(word),
                None => told.push((vec![word], reason)),
            }
        }
        let lines: Vec<String> = told.iter().map(|(words, why)| format!("no {}: {why}", words.join(", no "))).collect();
        (!lines.is_empty()).then(|| lines.join(". "))
    }
}

/// The notes below a table, numbered from 1; one that says the same is not said twice.
#[derive(Debug, Default)]
pub struct Notes(Vec<String>);

impl Notes {
    /// The text of a cell: its home, what may be done if that is not all, and the numbers of its note.
    pub fn text(&mut self, cell: &Cell) -> String {
        let mut text = cell.home.to_owned();
        let some = cell.some();
        if !some.is_empty() {
            let _ = write!(text, ": {} only", some.join(", "));
        }
        if let Some(note) = cell.note() {
            let _ = write!(text, " [{}]", self.number(note));
        }
        text
    }

    fn number(&mut self, note: String) -> usize {
        let known = self.0.iter().position(|known| *known == note);
        known.unwrap_or_else(|| {
            self.0.push(note);
            self.0.len() - 1
        }) + 1
    }

    /// The notes, each with its number.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.iter().enumerate().map(|(at, note)| (at + 1, note.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Change, Observation, Unreadable};
    use rstest::rstest;

    /// Terms that can be told apart: notes are kept, tags refused, the rest is native; appointments are never made.
    struct Odd {
        cancel: Expressed,
        wants: bool,
        carriers: &'static [Action],
    }

    impl Terms for Odd {
        fn system(&self) -> System {
            System::Timerex
        }
        fn home(&self, kind: Kind) -> Home {
            if kind == Kind::Note { Home::Kept("no notes") } else { Home::Native }
        }
        fn tags(&self) -> Home {
            Home::Refused("no tags")
        }
        fn creates(&self, kind: Kind) -> Result<(), &'static str> {
            if kind == Kind::Appointment { Err("guests do") } else { Ok(()) }
        }
        fn changes(&self, kind: Kind) -> Result<(), &'static str> {
            self.creates(kind)
        }
        fn express(&self, _: Kind, _: &Field, _: &Value) -> Expressed {
            self.cancel.clone()
        }
        fn carriers(&self, _: Kind, _: &Field, _: &Value, _: bool) -> &'static [Action] {
            self.carriers
        }
        fn wants(&self, entity: &Entity) -> bool {
            self.wants || entity.value(&Field::STATUS).as_text() != Some(CANCELLED)
        }
        fn is_final(&self, _: Kind, _: &Field, _: &Value) -> bool {
            false
        }
        fn gone_means(&self, _: Kind) -> Option<(Field, Value)> {
            None
        }
        fn observe(&self, _: &Change) -> Result<Vec<Observation>, Unreadable> {
            Ok(Vec::new())
        }
    }

    fn odd() -> Odd {
        Odd { cancel: Expressed::Holds(Value::text(CANCELLED)), wants: true, carriers: &[Action::Cancel] }
    }

    #[test]
    fn a_cell_says_what_may_be_done_and_its_note_why_the_rest_may_not() {
        let mut notes = Notes::default();
        let texts = row(&odd()).map(|cell| notes.text(&cell));
        assert_eq!(texts, ["native", "refused [1]", "native", "kept [2]", "native: read, cancel only [3]"]);
        let expected = [(1, "no tags"), (2, "no notes"), (3, "no create, no change: guests do")];
        assert_eq!(notes.numbered().collect::<Vec<_>>(), expected);
        assert_eq!(row(&odd()).map(|cell| notes.text(&cell)), texts);
        assert_eq!(notes.numbered().count(), 3, "what is known has its number");
    }

    #[rstest]
    #[case::written(odd(), None)]
    #[case::not_wanted(Odd { cancel: Expressed::Absent, wants: false, carriers: &[] }, None)]
    #[case::no_call(Odd { carriers: &[], ..odd() }, Some(NO_CANCEL))]
    #[case::refused(Odd { cancel: Expressed::Refused("the guest would be told".to_owned()), ..odd() }, Some("the guest would be told"))]
    fn an_appointment_can_be_cancelled_by_its_status_or_by_going(#[case] terms: Odd, #[case] why: Option<&str>) {
        let [.., appointment] = row(&terms);
        let expected = why.map_or(May::Yes, |why| May::No(why.to_owned()));
        assert_eq!(appointment.may.delete, expected);
    }

    #[test]
    fn a_cell_as_json_has_a_reason_for_each_no() {
        let [_, tag, .., appointment] = row(&odd());
        let json = serde_json::to_value(&appointment).unwrap();
        let may = serde_json::json!({ "read": "yes", "create": { "no": "guests do" }, "change": { "no": "guests do" }, "delete": "yes" });
        assert_eq!(
            (&json["system"], &json["object"], &json["home"]),
            (&"timerex".into(), &"appointment".into(), &"native".into())
        );
        assert_eq!(json["may"], may);
        assert_eq!(serde_json::to_value(&tag).unwrap()["reason"], "no tags");
    }
}
