//! People at work in the three systems: a deed becomes an edit of the stand-in, with the names and forms of that vendor.
//!
//! In: a deed, and what stands where. Out: [`Edit`]s for the sandbox, and what each of them set, for judging at the end.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::story::{Deed, Verb, stand_in};
use super::tokens;
use crate::clock::Millis;
use crate::model::{Field, Kind, System};
use crate::sandbox::settings::Workspace;
use crate::sandbox::{Edit, StandIn};

/// Tags that several contacts have.
const TAGS: [&str; 3] = ["vip", "New", "gold member"];

/// What one edit set in one field.
#[derive(Debug, Clone)]
pub struct Typed {
    /// The number that stands in its value.
    pub token: u32,
    /// The workspace, counted from 0.
    pub workspace: usize,
    /// The system.
    pub system: System,
    /// The kind of the object.
    pub kind: Kind,
    /// The object.
    pub id: String,
    /// The field.
    pub field: Field,
    /// The value, as everybody holds it.
    pub value: String,
    /// Replaced by somebody who had it before them.
    pub replaced: bool,
    /// When.
    pub at: Millis,
}

/// An edit to be made, and what it sets.
pub struct Wish {
    /// Where.
    pub at: StandIn,
    /// What.
    pub edit: Edit,
    /// Fields and values that can be recognised later.
    pub sets: Vec<(Field, String, u32)>,
}

/// Where objects are that people may take up.
pub struct Desk<'a> {
    /// The accounts.
    pub account: &'a Workspace,
    /// Objects by system and kind.
    pub known: &'a BTreeMap<(System, Kind), Vec<String>>,
    /// What people set before, newest last.
    pub typed: &'a [Typed],
    /// The number of the next value.
    pub token: u32,
    /// The present.
    pub now: Millis,
    /// Chance.
    pub rng: fastrand::Rng,
}

/// The account of a system.
pub fn account(account: &Workspace, system: System) -> &str {
    match system {
        System::Ghl => &account.ghl_location,
        System::Timify => &account.timify_company,
        System::Timerex => &account.timerex_team,
    }
}

/// Whether an account is one of these.
pub fn owns(accounts: &Workspace, named: Option<&str>) -> bool {
    System::ALL.iter().any(|system| named == Some(account(accounts, *system)))
}

const HALF_HOUR: i64 = 1_800_000;

/// The fields of a contact that people change.
pub const FIELDS: [Field; 4] = [Field::FIRST_NAME, Field::LAST_NAME, Field::CITY, Field::PHONE];

impl Desk<'_> {
    /// The edits that a deed means; none where there is nothing to do it with.
    pub fn wishes(&mut self, deed: Deed) -> Vec<Wish> {
        let Deed { system, verb, .. } = deed;
        match verb {
            Verb::Make(Kind::Contact) => vec![self.contact(system, None)],
            Verb::Twin if self.rng.bool() => self.phone_twin(system).into_iter().collect(),
            Verb::Twin => {
                let email = self.somebodys(&Field::EMAIL);
                vec![self.contact(system, email)]
            }
            Verb::Make(kind) => self.child(system, kind).into_iter().collect(),
            Verb::Change(Kind::Contact) => self.change(system, 1),
            Verb::Burst => self.change(system, 4),
            Verb::Change(kind) => self.child_change(system, kind).into_iter().collect(),
            // Where it stands in no other system, nobody else is there to change it.
            Verb::Clash(kind) | Verb::DeleteRace(kind) => {
                self.some(system, kind).map_or_else(Vec::new, |id| self.clash(kind, &[(system, id)]))
            }
            Verb::Revert => self.revert(system).into_iter().collect(),
            Verb::Clear => self.clear(system).into_iter().collect(),
            Verb::Tag => self.tag(system).into_iter().collect(),
            Verb::Untag => self.untag(system).into_iter().collect(),
            Verb::Complete => self.complete(system).into_iter().collect(),
            Verb::Delete(kind) => self.some(system, kind).map(|id| self.delete(system, kind, id)).into_iter().collect(),
        }
    }

    fn pick(&mut self, of: &[String]) -> Option<String> {
        if of.is_empty() { None } else { Some(of[self.rng.usize(..of.len())].clone()) }
    }

    fn some(&mut self, system: System, kind: Kind) -> Option<String> {
        let known = self.known.get(&(system, kind)).cloned().unwrap_or_default();
        self.pick(&known)
    }

    /// What was typed into a field somewhere.
    fn somebodys(&mut self, field: &Field) -> Option<String> {
        let typed = self.typed.iter().filter(|typed| typed.field == *field);
        let values: Vec<String> = typed.map(|typed| typed.value.clone()).collect();
        self.pick(&values)
    }

    fn next(&mut self) -> u32 {
        self.token += 1;
        self.token
    }

    fn wish(&self, system: System, kind: Kind, action: &str, id: Option<String>, fields: Value) -> Wish {
        let edit = Edit {
            action: action.to_owned(),
            kind: kind.word().to_owned(),
            account: account(self.account, system).to_owned(),
            id,
            parent: None,
            fields,
        };
        Wish { at: stand_in(system, kind), edit, sets: Vec::new() }
    }

    /// A contact with an e-mail of its own, or with one that somebody has already.
    fn contact(&mut self, system: System, email: Option<String>) -> Wish {
        let token = self.next();
        let email = email.unwrap_or_else(|| format!("p{token}@{}.test", self.account.name));
        let first = tokens::text(token);
        let mut fields = Map::new();
        for (field, value) in [(Field::FIRST_NAME, first.clone()), (Field::EMAIL, email.clone())] {
            put(&mut fields, system, &field, &value);
        }
        // As people type: with a capital, with a space at the end.
        if self.rng.u32(..4) == 0 {
            put(&mut fields, system, &Field::FIRST_NAME, &format!("{first} "));
        }
        let mut sets = vec![(Field::FIRST_NAME, first, token), (Field::EMAIL, email, token)];
        if self.rng.u32(..3) == 0 {
            let token = self.next();
            put(&mut fields, system, &Field::CITY, &tokens::text(token));
            sets.push((Field::CITY, tokens::text(token), token));
        }
        // A customer of TIMIFY has tags in its extension only, once it is there.
        if system != System::Timify && self.rng.u32(..3) == 0 {
            let (tag, set) = self.any_tag();
            fields.insert("tags".to_owned(), json!([tag]));
            sets.extend(set);
        }
        let mut wish = self.wish(system, Kind::Contact, "create", None, Value::Object(fields));
        wish.sets = sets;
        wish
    }

    /// One that several contacts have, or one of its own, which must not be lost.
    fn any_tag(&mut self) -> (String, Option<(Field, String, u32)>) {
        if self.rng.bool() {
            return (TAGS[self.rng.usize(..TAGS.len())].to_owned(), None);
        }
        let token = self.next();
        let text = tokens::text(token);
        (text.clone(), Some((Field::tag(&text), text, token)))
    }

    /// A contact of whom nothing but the phone is known, which is somebody's.
    fn phone_twin(&mut self, system: System) -> Option<Wish> {
        let phone = self.somebodys(&Field::PHONE)?;
        let token = self.next();
        let first = tokens::text(token);
        let mut fields = Map::new();
        put(&mut fields, system, &Field::FIRST_NAME, &first);
        put(&mut fields, system, &Field::PHONE, &phone);
        let mut wish = self.wish(system, Kind::Contact, "create", None, Value::Object(fields));
        wish.sets = vec![(Field::FIRST_NAME, first, token)];
        Some(wish)
    }

    fn child(&mut self, system: System, kind: Kind) -> Option<Wish> {
        if (system, kind) == (System::Timerex, Kind::Appointment) {
            return Some(self.booking());
        }
        let parent = self.some(system, Kind::Contact)?;
        let token = self.next();
        let text = tokens::text(token);
        let start = self.slot();
        let (fields, set) = match kind {
            Kind::Task => (json!({ "title": text, "completed": false }), Some((Field::TITLE, text))),
            Kind::Note => (json!({ body_key(system): text }), Some((Field::BODY, text))),
            _ => (self.times(system, start, Some(&parent)), None),
        };
        let mut wish = self.wish(system, kind, "create", None, fields);
        wish.edit.parent = Some(parent);
        wish.sets.extend(set.map(|(field, text)| (field, text, token)));
        Some(wish)
    }

    /// A guest books.
    fn booking(&mut self) -> Wish {
        let token = self.next();
        let known = self.rng.bool().then(|| self.somebodys(&Field::EMAIL)).flatten();
        let email = known.unwrap_or_else(|| format!("g{token}@{}.test", self.account.name));
        let start = self.slot();
        let fields = json!({
            "calendar_id": self.account.timerex_calendar, "start_datetime": start.rfc3339(),
            "end_datetime": Millis(start.0 + HALF_HOUR).rfc3339(), "guest_name": tokens::text(token), "guest_email": email,
            "guest_locale": "en"
        });
        self.wish(System::Timerex, Kind::Appointment, "create", None, fields)
    }

    fn slot(&mut self) -> Millis {
        Millis((self.now.0 / HALF_HOUR + 200 + self.rng.i64(0..1_000)) * HALF_HOUR)
    }

    fn times(&self, system: System, start: Millis, contact: Option<&str>) -> Value {
        let end = Millis(start.0 + HALF_HOUR).rfc3339();
        match system {
            System::Ghl => {
                let mut fields = json!({
                    "calendarId": self.account.ghl_calendar, "startTime": start.rfc3339(), "endTime": end,
                    "assignedUserId": self.account.ghl_user
                });
                if let Some(contact) = contact {
                    fields["contactId"] = json!(contact);
                }
                fields
            }
            System::Timify => {
                let mut fields = json!({
                    "startDate": start.rfc3339(), "duration": 30, "service_id": self.account.timify_service,
                    "resource_ids": [self.account.timify_resource]
                });
                if let Some(contact) = contact {
                    fields["customer_ids"] = json!([contact]);
                }
                fields
            }
            System::Timerex => json!({ "start_datetime": start.rfc3339(), "end_datetime": end }),
        }
    }

    /// One field of a contact, so many times.
    fn change(&mut self, system: System, times: usize) -> Vec<Wish> {
        let Some(id) = self.some(system, Kind::Contact) else { return Vec::new() };
        let field = FIELDS[self.rng.usize(..FIELDS.len())].clone();
        (0..times).map(|_| self.set(system, Kind::Contact, &id, &field)).collect()
    }

    /// The same field of an object, in several systems at once.
    pub fn clash(&mut self, kind: Kind, places: &[(System, String)]) -> Vec<Wish> {
        let field = match kind {
            Kind::Contact => FIELDS[self.rng.usize(..FIELDS.len())].clone(),
            Kind::Task | Kind::Appointment => Field::TITLE,
            Kind::Note => Field::BODY,
        };
        places.iter().map(|(system, id)| self.set(*system, kind, id, &field)).collect()
    }

    fn set(&mut self, system: System, kind: Kind, id: &str, field: &Field) -> Wish {
        let token = self.next();
        let value = if *field == Field::PHONE { tokens::phone(token) } else { tokens::text(token) };
        let mut fields = Map::new();
        if kind == Kind::Note {
            fields.insert(body_key(system).to_owned(), json!(value));
        } else {
            put(&mut fields, system, field, &value);
        }
        let mut wish = self.wish(system, kind, "update", Some(id.to_owned()), Value::Object(fields));
        wish.sets.push((field.clone(), value, token));
        wish
    }

    fn child_change(&mut self, system: System, kind: Kind) -> Option<Wish> {
        let id = self.some(system, kind)?;
        match kind {
            Kind::Task => Some(self.set(system, kind, &id, &Field::TITLE)),
            Kind::Note => Some(self.set(system, kind, &id, &Field::BODY)),
            _ => {
                let start = self.slot();
                Some(self.wish(system, kind, "move", Some(id), self.times(system, start, None)))
            }
        }
    }

    /// A value that was there before.
    fn revert(&mut self, system: System) -> Option<Wish> {
        let names =
            |typed: &&Typed| typed.system == system && typed.field == Field::FIRST_NAME && typed.kind == Kind::Contact;
        let old: Vec<&Typed> = self.typed.iter().filter(names).collect();
        let old = old.get(self.rng.usize(..old.len().max(1)))?;
        let mut fields = Map::new();
        put(&mut fields, system, &old.field, &old.value);
        let mut wish = self.wish(system, Kind::Contact, "update", Some(old.id.clone()), Value::Object(fields));
        wish.sets.push((old.field.clone(), old.value.clone(), old.token));
        Some(wish)
    }

    fn clear(&mut self, system: System) -> Option<Wish> {
        let id = self.some(system, Kind::Contact)?;
        let field = [Field::CITY, Field::LAST_NAME][self.rng.usize(..2)].clone();
        let mut fields = Map::new();
        put(&mut fields, system, &field, "");
        let mut wish = self.wish(system, Kind::Contact, "update", Some(id), Value::Object(fields));
        wish.sets.push((field, String::new(), 0));
        Some(wish)
    }

    fn tag(&mut self, system: System) -> Option<Wish> {
        let id = self.some(system, Kind::Contact)?;
        let (tag, set) = self.any_tag();
        let mut wish = self.retag(system, id, "addTags", &tag);
        wish.sets.extend(set);
        Some(wish)
    }

    /// Takes one off, which it may not have.
    fn untag(&mut self, system: System) -> Option<Wish> {
        let id = self.some(system, Kind::Contact)?;
        let own = self.typed.iter().filter(|typed| typed.field.as_tag().is_some()).map(|typed| typed.value.clone());
        let tags: Vec<String> = TAGS.map(str::to_owned).into_iter().chain(own).collect();
        let tag = self.pick(&tags)?;
        Some(self.retag(system, id, "removeTags", &tag))
    }

    fn retag(&self, system: System, id: String, how: &str, tag: &str) -> Wish {
        let wish = self.wish(system, Kind::Contact, "update", Some(id), json!({ how: [tag] }));
        // The tags of TIMIFY's customers are its extension's.
        Wish { at: stand_in(system, Kind::Note), ..wish }
    }

    fn complete(&mut self, system: System) -> Option<Wish> {
        let id = self.some(system, Kind::Task)?;
        let completed = self.rng.u32(..4) > 0;
        Some(self.wish(system, Kind::Task, "update", Some(id), json!({ "completed": completed })))
    }

    /// One deletes it in the first place, and others change a field of it in the rest, before or after.
    pub fn delete_race(&mut self, kind: Kind, places: &[(System, String)]) -> Vec<Wish> {
        let Some(((system, id), others)) = places.split_first() else { return Vec::new() };
        let mut wishes = self.clash(kind, others);
        let at = self.rng.usize(..=wishes.len());
        wishes.insert(at, self.delete(*system, kind, id.clone()));
        wishes
    }

    fn delete(&self, system: System, kind: Kind, id: String) -> Wish {
        // TimeRex knows no contacts of its own to delete by mistake; its extension does.
        let action = if kind == Kind::Appointment && system != System::Timify { "cancel" } else { "delete" };
        self.wish(system, kind, action, Some(id), json!({}))
    }
}

fn body_key(system: System) -> &'static str {
    if system == System::Ghl { "body" } else { "content" }
}

/// Puts a field of a contact where the vendor has it.
fn put(fields: &mut Map<String, Value>, system: System, field: &Field, value: &str) {
    let name = match (system, field.name()) {
        (_, "first_name") => "firstName",
        (_, "last_name") => "lastName",
        (System::Timify, "phone") => "mobilePhone",
        (System::Timerex, "city") => {
            fields.insert("address".to_owned(), json!({ "city": value }));
            return;
        }
        (_, other) => other,
    };
    fields.insert(name.to_owned(), json!(value));
}
