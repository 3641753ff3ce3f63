//! The story that the demo plays: each step makes people's edits in the stand-ins and says which writes must follow, no
//! more and no fewer.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::compare::objects;
use super::stage::{Stage, Writes};

/// One step of the story.
#[derive(Debug, Clone)]
pub struct Step {
    /// What people did.
    pub edit: String,
    /// The writes that must follow.
    pub expected: Writes,
    /// The most calls that may follow besides: reads before writes, reads of what claims raise, look-ups before creates. An
    /// echo that is known for one owes none.
    pub reads: usize,
}

/// People and times of one telling; another seed tells it with others.
pub struct Story {
    rng: fastrand::Rng,
    booker: String,
    pen: String,
    guest: Option<String>,
    booking: Option<String>,
    task: Option<String>,
}

const NAMES: [(&str, &str); 6] = [
    ("Hanako", "Yamada"),
    ("Jonas", "Weber"),
    ("Maria", "Costa"),
    ("Aiko", "Tanaka"),
    ("Emma", "Brown"),
    ("Luca", "Rossi"),
];

/// The steps, in order, each with the most reads that it owes; the first with the polls that a start makes of GHL and TimeRex.
pub const STEPS: [(&str, usize); 15] = [
    ("contact", 8),
    ("booking", 13),
    ("both", 9),
    ("clash", 6),
    ("move", 4),
    ("task", 2),
    ("complete", 4),
    ("task_back", 3),
    ("tags", 5),
    ("untag", 4),
    ("note", 2),
    ("burst", 6),
    ("duplicate", 7),
    ("late", 7),
    ("forged_and_down", 10),
];

fn writes(pairs: &[(&str, usize)]) -> Writes {
    pairs.iter().map(|(label, count)| ((*label).to_owned(), *count)).collect()
}

fn step(edit: impl Into<String>, pairs: &[(&str, usize)]) -> Step {
    Step { edit: edit.into(), expected: writes(pairs), reads: 0 }
}

impl Story {
    /// The telling of a seed.
    pub fn new(seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        Self { rng, booker: String::new(), pen: String::new(), guest: None, booking: None, task: None }
    }

    /// Plays one step.
    pub async fn play(&mut self, (name, reads): (&str, usize), stage: &Stage) -> Result<Step> {
        self.pause(150).await;
        let step = self.act(name, stage).await?;
        Ok(Step { reads, ..step })
    }

    /// Waits as long as the seed says, `most` milliseconds at most.
    async fn pause(&mut self, most: u64) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(..most))).await;
    }

    async fn act(&mut self, name: &str, stage: &Stage) -> Result<Step> {
        match name {
            "contact" => self.contact(stage).await,
            "booking" => self.book(stage).await,
            "both" => self.both(stage).await,
            "clash" => self.clash(stage).await,
            "move" => self.moved(stage).await,
            "task" => self.make_task(stage).await,
            "complete" => self.complete_task(stage).await,
            "task_back" => self.task_back(stage).await,
            "tags" => self.tag(stage).await,
            "untag" => self.untag(stage).await,
            "note" => self.note(stage).await,
            "burst" => self.burst(stage).await,
            "duplicate" => self.duplicate(stage).await,
            "late" => self.late(stage).await,
            _ => self.forged_and_down(stage).await,
        }
    }

    fn person(&mut self) -> (String, String, String, String) {
        let (first, last) = NAMES[self.rng.usize(..NAMES.len())];
        let number = self.rng.u32(1_000..10_000);
        let email = format!("{}.{}{number}@example.test", first.to_lowercase(), last.to_lowercase());
        (first.to_owned(), last.to_owned(), email, format!("+4915123{number}5"))
    }

    async fn contact(&mut self, stage: &Stage) -> Result<Step> {
        let (first, last, email, phone) = self.person();
        self.pen = stage
            .edit(json!({
                "system": "timify", "action": "create", "kind": "contact", "account": stage.account.timify_company,
                "fields": { "firstName": first, "lastName": last, "email": email, "mobilePhone": phone }
            }))
            .await?;
        Ok(step(format!("{first} {last} is entered in TIMIFY"), &[("ghl POST contact", 1)]))
    }

    async fn book(&mut self, stage: &Stage) -> Result<Step> {
        let (first, last, email, phone) = self.person();
        let email = format!("guest.{email}");
        let start = slot(self.rng.i64(2..20), self.rng.i64(0..8));
        self.booking = Some(
            stage
                .edit(json!({
                    "system": "timerex", "action": "create", "kind": "appointment",
                    "account": stage.account.timerex_team,
                    "fields": {
                        "calendar_id": stage.account.timerex_calendar, "start_datetime": start.0,
                        "end_datetime": start.1, "guest_name": format!("{first} {last}"), "guest_email": email,
                        "guest_phone": phone, "guest_locale": "en"
                    }
                }))
                .await?,
        );
        self.guest = Some(email);
        Ok(step(
            format!("{first} {last} books in TimeRex"),
            &[
                ("ghl POST contact", 1),
                ("timify POST contact", 1),
                ("timerex+ POST contact", 1),
                ("ghl POST appointment", 1),
                ("timify POST appointment", 1),
            ],
        ))
    }

    async fn both(&mut self, stage: &Stage) -> Result<Step> {
        let ghl = self.ghl_of_pen(stage).await?;
        let phone = format!("+4915177{:05}", self.rng.u32(10_000..99_999));
        let edits = [
            edit_ghl(stage, &ghl, &json!({ "phone": phone })),
            edit_timify(stage, &self.pen, &json!({ "lastName": format!("Renamed {}", self.rng.u8(..)) })),
        ];
        let [one, two] = edits;
        tokio::try_join!(stage.edit(one), stage.edit(two))?;
        Ok(step(
            "phone edited in GHL and name in TIMIFY at the same moment",
            &[("ghl PUT contact", 1), ("timify PATCH contact", 1)],
        ))
    }

    async fn clash(&mut self, stage: &Stage) -> Result<Step> {
        let ghl = self.ghl_of_pen(stage).await?;
        for system in ["ghl", "timify"] {
            stage.post("hold", json!({ "system": system })).await?;
        }
        let number = self.rng.u8(..);
        stage.edit(edit_ghl(stage, &ghl, &json!({ "firstName": format!("Older {number}") }))).await?;
        // More than the clock tolerance and TIMIFY's whole seconds: nearer edits would count as made at once.
        tokio::time::sleep(Duration::from_millis(4_200)).await;
        stage.edit(edit_timify(stage, &self.pen, &json!({ "firstName": format!("Newer {number}") }))).await?;
        let mut order = ["ghl", "timify"];
        self.rng.shuffle(&mut order);
        for system in order {
            stage.post("release", json!({ "system": system })).await?;
        }
        Ok(step("first name edited in GHL, four seconds later in TIMIFY: the newer wins", &[("ghl PUT contact", 1)]))
    }

    async fn moved(&mut self, stage: &Stage) -> Result<Step> {
        let booking = self.booking.take().context("nothing is booked")?;
        let start = slot(self.rng.i64(21..40), self.rng.i64(0..8));
        let order = if self.rng.bool() { "cancelled_first" } else { "confirmed_first" };
        let moved = stage
            .edit(json!({
                "system": "timerex", "action": "move", "kind": "appointment", "account": stage.account.timerex_team,
                "id": booking, "fields": { "start_datetime": start.0, "end_datetime": start.1, "order": order }
            }))
            .await?;
        ensure!(moved != booking, "a moved booking must have a new id");
        self.booking = Some(moved);
        let edit = format!("the guest moves the booking: a new id ({})", order.replace('_', " "));
        Ok(step(edit, &[("ghl PUT appointment", 1), ("timify PATCH appointment", 1)]))
    }

    async fn make_task(&mut self, stage: &Stage) -> Result<Step> {
        self.booker = self.ghl_by_email(stage, self.guest.as_deref().unwrap_or_default()).await?;
        let task = stage
            .edit(json!({
                "system": "ghl", "action": "create", "kind": "task", "account": stage.account.ghl_location,
                "parent": self.booker, "fields": {
                    "title": "Send the offer", "body": "with two options", "dueDate": slot(3, 0).0, "completed": false
                }
            }))
            .await?;
        self.task = Some(task);
        Ok(step("a task is made in GHL", &[("timerex+ POST task", 1), ("timify+ POST task", 1)]))
    }

    async fn complete_task(&mut self, stage: &Stage) -> Result<Step> {
        let task = self.task.clone().context("there is no task")?;
        stage
            .edit(json!({
                "system": "ghl", "action": "complete", "kind": "task", "account": stage.account.ghl_location,
                "parent": self.booker, "id": task
            }))
            .await?;
        Ok(step(
            "the task is completed in GHL",
            &[("timerex+ PUT task completed", 1), ("timify+ PUT task completed", 1)],
        ))
    }

    async fn task_back(&mut self, stage: &Stage) -> Result<Step> {
        let (contact, task) = self.extension_task(stage).await?;
        stage
            .edit(json!({
                "system": "timerex", "extension": true, "action": "update", "kind": "task",
                "account": stage.account.timerex_team, "parent": contact, "id": task,
                "fields": { "title": "Send the offer again", "completed": false }
            }))
            .await?;
        let edit = "the task is reopened and renamed in TimeRex's extension";
        Ok(step(edit, &[("ghl PUT task", 1), ("timify+ PUT task", 1)]))
    }

    async fn tag(&mut self, stage: &Stage) -> Result<Step> {
        let fields = json!({ "addTags": ["vip", "newsletter"] });
        stage.edit(edit_ghl(stage, &self.booker, &fields)).await?;
        let pairs = [("timerex+ POST contact tags", 1), ("timify+ POST contact tags", 1)];
        Ok(step("two tags are added in GHL", &pairs))
    }

    async fn untag(&mut self, stage: &Stage) -> Result<Step> {
        let contact = self.extension_contact(stage).await?;
        stage
            .edit(json!({
                "system": "timerex", "extension": true, "action": "update", "kind": "contact",
                "account": stage.account.timerex_team, "id": contact, "fields": { "removeTags": ["newsletter"] }
            }))
            .await?;
        let pairs = [("ghl DELETE contact tags", 1), ("timify+ DELETE contact tags", 1)];
        Ok(step("one of them is removed in TimeRex's extension", &pairs))
    }

    async fn note(&mut self, stage: &Stage) -> Result<Step> {
        stage
            .edit(json!({
                "system": "ghl", "action": "create", "kind": "note", "account": stage.account.ghl_location,
                "parent": self.booker, "fields": { "body": "Prefers mornings" }
            }))
            .await?;
        Ok(step("a note is written in GHL", &[("timerex+ POST note", 1), ("timify+ POST note", 1)]))
    }

    async fn burst(&mut self, stage: &Stage) -> Result<Step> {
        let customer = self.timify_by_email(stage, self.guest.as_deref().unwrap_or_default()).await?;
        // Held and let go together, so that a slow machine does not make several bursts of it.
        stage.post("hold", json!({ "system": "timify" })).await?;
        for number in 0..20 {
            let field = ["firstName", "lastName", "mobilePhone", "city"][number % 4];
            let value =
                if field == "mobilePhone" { format!("+49151999{number:05}") } else { format!("Burst {number}") };
            stage.edit(edit_timify(stage, &customer, &json!({ field: value }))).await?;
            self.pause(8).await;
        }
        stage.post("release", json!({ "system": "timify" })).await?;
        Ok(step("a burst of 20 edits in TIMIFY", &[("ghl PUT contact", 1), ("timerex+ PUT contact", 1)]))
    }

    async fn duplicate(&mut self, stage: &Stage) -> Result<Step> {
        let ghl = self.ghl_of_pen(stage).await?;
        stage.post("duplicate", json!({ "system": "ghl", "count": 1 })).await?;
        let phone = format!("+4915188{:05}", self.rng.u32(10_000..99_999));
        stage.edit(edit_ghl(stage, &ghl, &json!({ "phone": phone }))).await?;
        Ok(step("an edit whose webhook comes twice", &[("timify PATCH contact", 1)]))
    }

    async fn late(&mut self, stage: &Stage) -> Result<Step> {
        let ghl = self.ghl_of_pen(stage).await?;
        stage.post("hold", json!({ "system": "ghl" })).await?;
        for number in 0..2 {
            let city = format!("City {number}{}", self.rng.u8(..));
            stage.edit(edit_ghl(stage, &ghl, &json!({ "city": city }))).await?;
        }
        stage.post("release", json!({ "system": "ghl", "order": "reversed" })).await?;
        Ok(step("two edits whose webhooks come in the wrong order", &[("timify PATCH contact", 1)]))
    }

    async fn forged_and_down(&mut self, stage: &Stage) -> Result<Step> {
        for signature in ["wrong", "na", "missing"] {
            let body = json!({
                "type": "ContactUpdate", "locationId": stage.account.ghl_location, "id": "forged",
                "firstName": "Mallory", "webhookId": format!("forged-{signature}")
            });
            let forged = json!({ "system": "ghl", "body": body, "signature": signature });
            let number = stage.post("forge", forged).await?["delivery"].as_u64().context("no delivery")?;
            stage.settle().await?;
            ensure!(stage.answers(number).await? == [401], "a forged delivery was not refused");
        }
        stage.fault("ghl", "down", 3).await?;
        stage.edit(edit_timify(stage, &self.pen, &json!({ "city": format!("Berlin {}", self.rng.u8(..)) }))).await?;
        Ok(step("three forged deliveries; then an edit while GHL is down", &[("ghl PUT contact", 1)]))
    }

    async fn ghl_of_pen(&self, stage: &Stage) -> Result<String> {
        let state = stage.state().await?;
        let pen = objects(customers(&state, stage)).into_iter().find(|(id, _)| *id == self.pen);
        let email = field_of(pen.context("the contact is not in TIMIFY")?.1, "email");
        self.ghl_by_email(stage, &email).await
    }

    async fn ghl_by_email(&self, stage: &Stage, email: &str) -> Result<String> {
        let state = stage.state().await?;
        keyed(&state["ghl"]["contacts"], |contact| contact["email"] == email).context("the contact is not in GHL")
    }

    async fn timify_by_email(&self, stage: &Stage, email: &str) -> Result<String> {
        let state = stage.state().await?;
        keyed(customers(&state, stage), |customer| field_of(customer, "email") == email).context("not in TIMIFY")
    }

    async fn extension_contact(&self, stage: &Stage) -> Result<String> {
        let state = stage.state().await?;
        let email = self.guest.as_deref().unwrap_or_default();
        let contacts = &state["extension"]["timerex"][&stage.account.timerex_team]["contacts"];
        keyed(contacts, |contact| contact["email"] == email).context("the contact is not in TimeRex's extension")
    }

    async fn extension_task(&self, stage: &Stage) -> Result<(String, String)> {
        let contact = self.extension_contact(stage).await?;
        let state = stage.state().await?;
        let tasks = &state["extension"]["timerex"][&stage.account.timerex_team]["tasks"];
        let task = keyed(tasks, |task| task["contactId"] == contact.as_str()).context("no task in the extension")?;
        Ok((contact, task))
    }
}

/// A free half hour, some days from now: start and end, RFC 3339.
fn slot(days: i64, halves: i64) -> (String, String) {
    use crate::clock::{Clock, Millis, SystemClock};
    const DAY: i64 = 86_400_000;
    const HALF: i64 = 1_800_000;
    let midnight = SystemClock.now().0 / DAY * DAY;
    let start = midnight + days * DAY + 9 * 2 * HALF + halves * HALF;
    (Millis(start).rfc3339(), Millis(start + HALF).rfc3339())
}

fn edit_ghl(stage: &Stage, id: &str, fields: &Value) -> Value {
    json!({
        "system": "ghl", "action": "update", "kind": "contact", "account": stage.account.ghl_location, "id": id,
        "fields": fields
    })
}

fn edit_timify(stage: &Stage, id: &str, fields: &Value) -> Value {
    json!({
        "system": "timify", "action": "update", "kind": "contact", "account": stage.account.timify_company, "id": id,
        "fields": fields
    })
}

fn customers<'a>(state: &'a Value, stage: &Stage) -> &'a Value {
    &state["timify"][&stage.account.timify_company]["customers"]
}

/// A plain value of a TIMIFY customer.
pub fn field_of(customer: &Value, field: &str) -> String {
    customer["plain"][field].as_str().unwrap_or_default().to_owned()
}

fn keyed(list: &Value, wanted: impl Fn(&Value) -> bool) -> Option<String> {
    objects(list).into_iter().find(|(_, object)| wanted(object)).map(|(id, _)| id.to_owned())
}
