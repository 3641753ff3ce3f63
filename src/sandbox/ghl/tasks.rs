//! Tasks of a contact. They carry no dates in answers, and an update sends no webhook unless it completes the task.
//!
//! In: checked bodies and users' fields. Out: answers; `TaskCreate`, `TaskComplete`, `TaskDelete`.

use serde_json::{Value, json};

use super::answers::{Answer, Refusal};
use super::fields::{Fields, apply, flag, oldest_first, only, pick, text};
use super::routes::Call;
use super::{Ghl, webhooks};
use crate::clock::Millis;
use crate::sandbox::Turn;

const READ: &[&str] = &["id", "title", "body", "assignedTo", "dueDate", "completed", "contactId"];
const WRITABLE: &[&str] = &["title", "body", "assignedTo", "dueDate", "completed"];

pub(super) fn list(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    ghl.contact(&call.ids[0])?;
    let tasks = oldest_first(&ghl.tasks, |task| text(task, "contactId") == call.ids[0]);
    Ok(json!({"tasks": tasks.into_iter().map(read).collect::<Vec<_>>()}))
}

pub(super) fn post(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let id = ghl.create_task(&call.ids[0], &call.body, turn)?;
    Ok(json!({"task": read(&ghl.tasks[&id])}))
}

pub(super) fn get(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({"task": read(ghl.task(&call.ids[0], &call.ids[1])?)}))
}

/// Also `/completed`, whose body has that one key.
pub(super) fn put(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    ghl.update_task(&call.ids[0], &call.ids[1], &call.body, turn)?;
    get(ghl, call, turn)
}

pub(super) fn delete(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    ghl.delete_task(&call.ids[0], &call.ids[1], turn)?;
    Ok(json!({"succeded": true}))
}

pub(super) fn read(task: &Fields) -> Fields {
    pick(task, READ)
}

impl Ghl {
    fn task(&self, contact: &str, id: &str) -> Result<&Fields, Refusal> {
        self.contact(contact)?;
        let held = self.tasks.get(id).filter(|task| text(task, "contactId") == contact);
        held.ok_or_else(|| Refusal::unknown("Task", id))
    }

    pub(super) fn create_task(
        &mut self,
        contact: &str,
        input: &Fields,
        turn: &mut Turn<'_>,
    ) -> Result<String, Refusal> {
        let mut task = self.new_beside(contact, turn)?;
        task.insert("completed".to_owned(), false.into());
        apply(&mut task, written(input));
        webhooks::task(self, "TaskCreate", &task, turn);
        let id = text(&task, "id").to_owned();
        self.tasks.insert(id.clone(), task);
        Ok(id)
    }

    pub(super) fn update_task(
        &mut self,
        contact: &str,
        id: &str,
        input: &Fields,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let before = self.task(contact, id)?;
        let mut after = before.clone();
        apply(&mut after, written(input));
        if flag(&after, "completed") && !flag(before, "completed") {
            webhooks::task(self, "TaskComplete", &after, turn);
        }
        self.tasks.insert(id.to_owned(), after);
        Ok(())
    }

    pub(super) fn delete_task(&mut self, contact: &str, id: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let task = self.task(contact, id)?.clone();
        self.tasks.remove(id);
        webhooks::task(self, "TaskDelete", &task, turn);
        Ok(())
    }
}

/// The due date is shown in UTC with milliseconds, however it was written.
fn written(input: &Fields) -> Fields {
    let mut written = only(input, WRITABLE);
    if let Some(due) = input.get("dueDate").and_then(Value::as_str).and_then(Millis::parse) {
        written.insert("dueDate".to_owned(), due.rfc3339().into());
    }
    written
}
