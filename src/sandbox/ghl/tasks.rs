//! Tasks of a contact. They carry no dates in answers, and an update sends no webhook unless it completes the task.
//!
//! In: fields. Out: what [`attached`](super::attached) needs to know; `TaskCreate`, `TaskComplete`, `TaskDelete`.

use serde_json::Value;

use super::answers::Refusal;
use super::attached::Sort;
use super::fields::{Fields, Shelf, flag, only};
use super::{Ghl, webhooks};
use crate::clock::Millis;
use crate::sandbox::Turn;

const WRITABLE: &[&str] = &["title", "body", "assignedTo", "dueDate", "completed"];

/// The tasks.
pub(super) struct Tasks;

impl Sort for Tasks {
    const NAME: &'static str = "Task";
    const ONE: &'static str = "task";
    const MANY: &'static str = "tasks";
    const PARENT: &'static str = "contactId";
    const READ: &'static [&'static str] = &["id", "title", "body", "assignedTo", "dueDate", "completed", "contactId"];

    fn shelf(ghl: &Ghl) -> &Shelf {
        &ghl.tasks
    }

    fn shelf_mut(ghl: &mut Ghl) -> &mut Shelf {
        &mut ghl.tasks
    }

    fn parent<'a>(ghl: &'a Ghl, id: &str) -> Result<&'a Fields, Refusal> {
        ghl.contact(id)
    }

    fn fresh(_: &Fields) -> Fields {
        Fields::from_iter([("completed".to_owned(), false.into())])
    }

    /// The due date is shown in UTC with milliseconds, however it was written.
    fn written(input: &Fields) -> Fields {
        let mut written = only(input, WRITABLE);
        if let Some(due) = input.get("dueDate").and_then(Value::as_str).and_then(Millis::parse) {
            written.insert("dueDate".to_owned(), due.rfc3339().into());
        }
        written
    }

    fn updated(before: &Fields, after: &Fields) -> Option<&'static str> {
        (flag(after, "completed") && !flag(before, "completed")).then_some("TaskComplete")
    }

    fn tell(ghl: &Ghl, name: &str, object: &Fields, turn: &mut Turn<'_>) {
        webhooks::task(ghl, name, object, turn);
    }
}
