//! What TIMIFY can hold.

use super::{Timify, appointments, door};
use crate::model::{Action, CANCELLED, Change, Entity, Field, Kind, Observation, System, Value};
use crate::systems::{Expressed, Home, Terms, Unreadable};

const NO_TASKS: &str = "TIMIFY has no tasks: they need an extension endpoint, `[workspaces.extensions.timify]`";
const NO_NOTES: &str = "notes are kept out of TIMIFY here: `notes = false` in `[workspaces.timify]`";
pub(super) const NO_NOTES_FIELD: &str =
    "the company's customers in TIMIFY have no notes field that notes could be put into";
const NO_TAGS: &str = "TIMIFY's API has no tags of customers: name a customer field for them, `tags_field` in \
                       `[workspaces.timify]`";
const NO_TAGS_FIELD: &str = "the company's customers in TIMIFY have no field of the name that `tags_field` in \
                             `[workspaces.timify]` says: make it in TIMIFY, or set `make_tags_field = true`";
impl Timify {
    fn express_tag(&self, value: &Value) -> Expressed {
        if self.tags().holds() {
            return Expressed::Holds(if value.is_set() { Value::Flag(true) } else { Value::Blank });
        }
        Expressed::Absent
    }
}

impl Terms for Timify {
    fn system(&self) -> System {
        System::Timify
    }

    /// As long as the definitions are not read, the company is taken to have a notes field: it is documented that all do.
    fn home(&self, kind: Kind) -> Home {
        let lacks_notes = || self.known.held().is_some() && self.card().notes_id().is_none();
        match kind {
            Kind::Contact | Kind::Appointment => Home::Native,
            Kind::Task => Home::Kept(NO_TASKS),
            Kind::Note if !self.company.projection.notes => Home::Kept(NO_NOTES),
            Kind::Note if lacks_notes() => Home::Kept(NO_NOTES_FIELD),
            Kind::Note => Home::Projected,
        }
    }

    fn tags(&self) -> Home {
        let projection = &self.company.projection;
        let lacks_tags = || self.known.held().is_some() && self.card().tags_id().is_none();
        if projection.tags_field.is_none() {
            Home::Kept(NO_TAGS)
        } else if !projection.make_tags_field && lacks_tags() {
            Home::Kept(NO_TAGS_FIELD)
        } else {
            Home::Projected
        }
    }

    fn creates(&self, kind: Kind) -> Result<(), &'static str> {
        match self.home(kind) {
            Home::Kept(reason) | Home::Refused(reason) => Err(reason),
            Home::Native | Home::Extension | Home::Projected => Ok(()),
        }
    }

    fn changes(&self, kind: Kind) -> Result<(), &'static str> {
        self.creates(kind)
    }

    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed {
        match kind {
            Kind::Appointment => appointments::express(&self.company, field, value),
            Kind::Contact if field.as_tag().is_some() => self.express_tag(value),
            Kind::Contact if self.card().knows(field) => Expressed::Holds(value.clone()),
            Kind::Note if *field == Field::BODY && self.home(kind).holds() => Expressed::Holds(value.clone()),
            _ => Expressed::Absent,
        }
    }

    fn carriers(&self, kind: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action] {
        match self.express(kind, field, value) {
            Expressed::Absent => &[],
            _ if making => &[Action::Create],
            _ => &[Action::Update],
        }
    }

    fn wants(&self, entity: &Entity) -> bool {
        entity.kind != Kind::Appointment || entity.value(&Field::STATUS).as_text() != Some(CANCELLED)
    }

    fn is_final(&self, _kind: Kind, _field: &Field, _value: &Value) -> bool {
        false
    }

    fn gone_means(&self, kind: Kind) -> Option<(Field, Value)> {
        (kind == Kind::Appointment).then(|| (Field::STATUS, Value::text(CANCELLED)))
    }

    fn observe(&self, change: &Change) -> Result<Vec<Observation>, Unreadable> {
        door::observe(&change.said.body, |at| self.caller.offset().to_ours(at))
    }
}
