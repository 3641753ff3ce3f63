//! Reads the guest of a booking out of the answers on its form.
//!
//! In: a booking as webhooks and the API show it, and which question is which field. Out: the guest, as far as a contact has
//! fields for the answers; the comment; the contact in GHL that the booking link named. A question is known by its label alone:
//! the vendor shows no id of it. Who the guest is, is not decided here.

use serde_json::Value as Json;

use super::Team;
use crate::clock::Millis;
use crate::model::{ExternalId, Field, Fields, Guest, Value, normal};
use crate::systems::wire;

/// The keys of `url_params` that carry the id of the contact in GHL through the booking link.
const REFERENCES: &[&str] = &["contact_ref", "ghl_contact_id"];
const REFERENCE_PREFIX: &str = "ghl_";

/// How an answer becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Email,
    Phone,
    Country,
    Day,
}

/// What a question may be asked for, beside fields of a business's own.
pub(super) const ASKED: &[(Field, Form)] = &[
    (Field::FIRST_NAME, Form::Text),
    (Field::LAST_NAME, Form::Text),
    (Field::EMAIL, Form::Email),
    (Field::PHONE, Form::Phone),
    (Field::ADDRESS, Form::Text),
    (Field::CITY, Form::Text),
    (Field::STATE, Form::Text),
    (Field::POSTAL_CODE, Form::Text),
    (Field::COUNTRY, Form::Country),
    (Field::BIRTHDAY, Form::Day),
    (Field::STATUS, Form::Text),
];

/// The guest, if the booking says anything of one; empty answers are no answers.
pub(super) fn read(event: &Json, team: &Team, ours: impl Fn(Millis) -> Millis) -> Option<Guest> {
    let form = wire::items(&event["form"]);
    let region = team.region.as_deref();
    let mut fields = Fields::new();
    if let Some(name) = of_type(form, "guest_name") {
        let (first, last) = normal::split_name(&name, event["guest_locale"].as_str());
        fields.extend([(Field::FIRST_NAME, first), (Field::LAST_NAME, last)]);
    }
    fields.extend(of_type(form, "guest_email").map(|email| (Field::EMAIL, normal::email(&email))));
    fields.extend(of_type(form, "guest_phone").map(|phone| (Field::PHONE, normal::phone(&phone, region))));
    for (field, label) in &team.questions {
        fields.extend(labelled(form, label).map(|answer| (field.clone(), value(field, &answer, region))));
    }
    fields.retain(|_, value| !value.is_blank());
    let (correlation, comment) = (correlation(&event["url_params"]), of_type(form, "guest_comment"));
    let says_something = !fields.is_empty() || correlation.is_some() || comment.is_some();
    let typed = wire::instant(&event["created_at"]).map(ours);
    says_something.then_some(Guest { correlation, fields, comment, typed })
}

/// The answer to one of the vendor's own questions.
fn of_type(form: &[Json], kind: &str) -> Option<String> {
    answered(form.iter().filter(|item| item["field_type"] == kind))
}

/// The answer to the question with this label; live bodies may carry no labels at all.
fn labelled(form: &[Json], label: &str) -> Option<String> {
    let same = |item: &&Json| item["label"].as_str().is_some_and(|asked| folded(asked) == folded(label));
    answered(form.iter().filter(same))
}

fn answered<'a>(mut items: impl Iterator<Item = &'a Json>) -> Option<String> {
    items.find_map(|item| wire::line(&item["value"]).as_text().map(str::to_owned))
}

fn folded(label: &str) -> String {
    label.trim().to_lowercase()
}

/// An answer in the form of its field. A country that is no code, and a day that is no date, are no answers: guests type what
/// they like, and one value that a system refuses would keep the whole contact out of it.
fn value(field: &Field, answer: &str, region: Option<&str>) -> Value {
    let form = ASKED.iter().find(|(asked, _)| asked == field).map_or(Form::Text, |(_, form)| *form);
    let only = |value: Value, fits: fn(&str) -> bool| {
        if value.as_text().is_some_and(fits) { value } else { Value::Blank }
    };
    match form {
        Form::Text => Value::text(answer),
        Form::Email => normal::email(answer),
        Form::Phone => normal::phone(answer, region),
        Form::Country => only(normal::country(answer), |code| code.len() == 2),
        Form::Day => only(normal::birthday(answer), |day| Millis::parse(&format!("{day}T00:00:00Z")).is_some()),
    }
}

/// The GHL contact id, out of the parameters of the link: a list of one-key objects.
fn correlation(params: &Json) -> Option<String> {
    let find = |name: &&str| wire::items(params).iter().find_map(|one| wire::id(&one[*name])).map(|ExternalId(id)| id);
    let id = REFERENCES.iter().find_map(find)?;
    Some(id.strip_prefix(REFERENCE_PREFIX).unwrap_or(&id).to_owned())
}
