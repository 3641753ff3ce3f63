//! People at work in all three systems at once, by a seed. What they said last is kept, to be found again everywhere.
//!
//! Each field of a contact is edited in one system only and each value is said once, so that no edit rivals another and an
//! equal write twice is a repeated one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lockstep::clock::{Clock, Millis, SystemClock};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::stage::Stage;

const HALF_HOUR: i64 = 1_800_000;
const DAY: i64 = 86_400_000;

/// What people said, as it must stand in the end. Persons are named by their e-mail.
#[derive(Debug, Default)]
pub struct Told {
    /// By e-mail.
    pub people: BTreeMap<String, Person>,
    /// By title: whose, and whether it is completed.
    pub tasks: BTreeMap<String, (String, bool)>,
    /// By text: whose.
    pub notes: BTreeMap<String, String>,
    /// By start, in milliseconds: whose.
    pub bookings: BTreeMap<i64, String>,
    /// How many edits it took.
    pub edits: usize,
}

/// One contact.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Person {
    pub first: String,
    pub last: String,
    pub phone: String,
    pub city: String,
    pub tags: BTreeSet<String>,
    /// Whether the person booked in TimeRex.
    pub booked: bool,
}

/// The people.
pub struct Load {
    stage: Arc<Stage>,
    rng: fastrand::Rng,
    number: u32,
    midnight: i64,
    /// Ids and e-mails of what TIMIFY and GHL hold, as last seen.
    customers: Vec<(String, String)>,
    contacts: Vec<(String, String)>,
    /// Tasks that are not completed: contact, task, title.
    open_tasks: Vec<(String, String, String)>,
    told: Told,
}

impl Load {
    pub fn new(stage: Arc<Stage>, seed: u64) -> Self {
        Self {
            stage,
            rng: fastrand::Rng::with_seed(seed),
            number: 0,
            midnight: SystemClock.now().0 / DAY * DAY,
            customers: Vec::new(),
            contacts: Vec::new(),
            open_tasks: Vec::new(),
            told: Told::default(),
        }
    }

    /// Works until told to stop, with pauses of up to `pause` between two people.
    pub async fn run(mut self, stop: CancellationToken, pause: Duration) -> Told {
        while !stop.is_cancelled() {
            if self.number.is_multiple_of(8) {
                self.look().await;
            }
            self.one().await;
            let most = u64::try_from(pause.as_millis()).unwrap();
            tokio::time::sleep(Duration::from_millis(self.rng.u64(most / 8..=most))).await;
        }
        self.told
    }

    async fn one(&mut self) {
        self.number += 1;
        match self.rng.u8(..20) {
            0..4 => self.burst().await,
            4..7 => self.customer().await,
            7..10 => self.contact().await,
            10..13 => self.booking().await,
            13..15 => self.task().await,
            15 => self.complete().await,
            16..18 => self.note().await,
            _ => self.edit_contact().await,
        }
    }

    async fn edit(&mut self, edit: Value) -> String {
        self.told.edits += 1;
        self.stage.edit(edit).await
    }

    /// Looks at who is there by now, those included that Lockstep made.
    async fn look(&mut self) {
        let state = self.stage.get("state").await;
        let email = |object: &Value| object["email"].as_str().unwrap_or_default().to_owned();
        let customers =
            state["timify"][&self.stage.account.timify_company]["customers"].as_array().into_iter().flatten();
        self.customers = customers.map(|one| (one["id"].as_str().unwrap().to_owned(), email(&one["plain"]))).collect();
        let contacts = state["ghl"]["contacts"].as_object().into_iter().flatten();
        self.contacts = contacts.map(|(id, one)| (id.clone(), email(one))).collect();
    }

    fn person(&self) -> (String, Person) {
        let number = self.number;
        let person = Person {
            first: format!("Given{number}"),
            last: format!("Family{number}"),
            phone: format!("+49151{:08}", 20_000_000 + number),
            ..Person::default()
        };
        (format!("person{number}@example.test"), person)
    }

    async fn customer(&mut self) {
        let (email, person) = self.person();
        let fields = json!({
            "firstName": person.first, "lastName": person.last, "email": email, "mobilePhone": person.phone
        });
        self.told.people.insert(email.clone(), person);
        let company = self.stage.account.timify_company.clone();
        let id = self
            .edit(json!({
                "system": "timify", "action": "create", "kind": "contact", "account": company, "fields": fields
            }))
            .await;
        self.customers.push((id, email));
    }

    async fn contact(&mut self) {
        let (email, person) = self.person();
        let fields =
            json!({ "firstName": person.first, "lastName": person.last, "email": email, "phone": person.phone });
        self.told.people.insert(email.clone(), person);
        let location = self.stage.account.ghl_location.clone();
        let id = self
            .edit(json!({
                "system": "ghl", "action": "create", "kind": "contact", "account": location, "fields": fields
            }))
            .await;
        self.contacts.push((id, email));
    }

    async fn booking(&mut self) {
        let (email, mut person) = self.person();
        person.booked = true;
        let start = self.midnight + 2 * DAY + i64::from(self.number) * HALF_HOUR;
        let fields = json!({
            "calendar_id": self.stage.account.timerex_calendar, "guest_locale": "en", "guest_email": email,
            "guest_name": format!("{} {}", person.first, person.last), "guest_phone": person.phone,
            "start_datetime": Millis(start).rfc3339(), "end_datetime": Millis(start + HALF_HOUR).rfc3339(),
        });
        self.told.people.insert(email.clone(), person);
        self.told.bookings.insert(start, email);
        let team = self.stage.account.timerex_team.clone();
        self.edit(json!({
            "system": "timerex", "action": "create", "kind": "appointment", "account": team, "fields": fields
        }))
        .await;
    }

    /// Some edits of one TIMIFY customer at once: names and phone are TIMIFY's to edit.
    async fn burst(&mut self) {
        let Some((id, email)) = self.rng.choice(&self.customers).cloned() else { return };
        for _ in 0..self.rng.u32(1..=6) {
            self.number += 1;
            let (field, value) = match self.rng.u8(..3) {
                0 => ("firstName", format!("Given{}", self.number)),
                1 => ("lastName", format!("Family{}", self.number)),
                _ => ("mobilePhone", format!("+49151{:08}", 20_000_000 + self.number)),
            };
            let Some(person) = self.told.people.get_mut(&email) else { return };
            match field {
                "firstName" => person.first.clone_from(&value),
                "lastName" => person.last.clone_from(&value),
                _ => person.phone.clone_from(&value),
            }
            let company = self.stage.account.timify_company.clone();
            self.edit(json!({
                "system": "timify", "action": "update", "kind": "contact", "account": company, "id": id,
                "fields": { field: value }
            }))
            .await;
        }
    }

    /// An edit of a GHL contact: city and tags are GHL's to edit.
    async fn edit_contact(&mut self) {
        let Some((id, email)) = self.rng.choice(&self.contacts).cloned() else { return };
        let Some(person) = self.told.people.get_mut(&email) else { return };
        let number = self.number;
        let fields = if self.rng.bool() {
            person.city = format!("City{number}");
            json!({ "city": person.city })
        } else {
            person.tags.insert(format!("tag{number}"));
            json!({ "addTags": [format!("tag{number}")] })
        };
        let location = self.stage.account.ghl_location.clone();
        self.edit(json!({
            "system": "ghl", "action": "update", "kind": "contact", "account": location, "id": id, "fields": fields
        }))
        .await;
    }

    async fn task(&mut self) {
        let Some((contact, email)) = self.rng.choice(&self.contacts).cloned() else { return };
        let title = format!("Task {}", self.number);
        let due = Millis(self.midnight + 3 * DAY).rfc3339();
        self.told.tasks.insert(title.clone(), (email, false));
        let task = self
            .child(
                "task",
                &contact,
                json!({ "title": title, "body": "with two options", "dueDate": due, "completed": false }),
            )
            .await;
        self.open_tasks.push((contact, task, title));
    }

    async fn note(&mut self) {
        let Some((contact, email)) = self.rng.choice(&self.contacts).cloned() else { return };
        let text = format!("Note {}", self.number);
        self.told.notes.insert(text.clone(), email);
        self.child("note", &contact, json!({ "body": text })).await;
    }

    async fn child(&mut self, kind: &str, contact: &str, fields: Value) -> String {
        let location = self.stage.account.ghl_location.clone();
        self.edit(json!({
            "system": "ghl", "action": "create", "kind": kind, "account": location, "parent": contact, "fields": fields
        }))
        .await
    }

    async fn complete(&mut self) {
        if self.open_tasks.is_empty() {
            return;
        }
        let (contact, task, title) = self.open_tasks.swap_remove(self.rng.usize(..self.open_tasks.len()));
        self.told.tasks.get_mut(&title).unwrap().1 = true;
        let location = self.stage.account.ghl_location.clone();
        self.edit(json!({
            "system": "ghl", "action": "complete", "kind": "task", "account": location, "parent": contact, "id": task
        }))
        .await;
    }
}
