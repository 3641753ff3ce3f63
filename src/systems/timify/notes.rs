//! Notes within a customer: the person's own text, and each note of ours below it, all in the one notes text that TIMIFY has.
//!
//! In: places and steps of notes. Out: readings and answers. The person's own text is the note `CUSTOMER#own`, which is only
//! changed in TIMIFY; ours are `CUSTOMER#KEY`. A write reads the customer, rewrites the text and writes that one field, one at
//! a time for each customer. What the text looks like is the business of `notebook`.

use http::Method;
use serde_json::{Value as Json, json};

use super::Timify;
use super::customers::{self, Card};
use super::notebook::{KEY, Notebook, is_key};
use super::terms::NO_NOTES_FIELD;
use crate::model::{Action, Class, ExternalId, Field, Kind, Observation, Place, Shape, Step, System, Value};
use crate::secret::digest;
use crate::systems::{Answer, Home, Reading, SystemError, Terms, Wanted, wire};

/// The key of the person's own text.
const OWN: &str = "own";

const ITS_AUTHOR: &str = "it was typed into the customer's notes in TIMIFY, and is only changed there";
const ELSEWHERE: &str = "the note is not one of a TIMIFY customer's notes text: it was kept somewhere else before";
const UNTOLD: &str =
    "the customer's record in TIMIFY shows no notes text, so what is missing in it is not taken for deleted";
const CUT: &str = "Lockstep's part of the customer's notes in TIMIFY has no end line: it may have been cut, so what is missing \
                   there is not taken for deleted; put the last line back";

/// The key of a note that a step makes: the end of the create's id, so that a second try finds the first one's.
fn key_of(step: &Step, text: &str) -> String {
    let whole = step.key.map_or_else(|| hex::encode(digest(text.as_bytes())), |key| key.simple().to_string());
    whole.chars().skip(whole.len().saturating_sub(KEY)).collect()
}

/// The customer and the key of a note within it. `None`: by its form, the id is another home's, which may use the same sign.
fn placed(id: &ExternalId) -> Option<(ExternalId, &str)> {
    id.apart().filter(|(_, key)| *key == OWN || is_key(key))
}

/// A customer's record with its notes.
struct Open {
    customer: ExternalId,
    record: Json,
    book: Notebook,
    /// Whether the record shows the notes text: if not, what is missing in it is not gone.
    is_told: bool,
    status: u16,
}

impl Timify {
    /// All that stands within a customer, as claims; `None`: it does not tell.
    pub(super) fn notes_within(&self, customer: &ExternalId, record: &Json) -> Option<Vec<Observation>> {
        let card = self.card();
        let text = card.notes(record).filter(|_| self.home(Kind::Note).holds())?;
        let book = Notebook::parse(text);
        if !book.is_whole() {
            return None;
        }
        let note = |(key, text): (&str, &str)| self.note(customer, record, key, text, Class::Claim);
        let own = book.own();
        let own = Some((OWN, own.as_str())).filter(|(_, own)| !Value::text(own).is_blank());
        let items = book.items().iter().map(|item| (item.key.as_str(), item.text.as_str()));
        Some(own.into_iter().chain(items).map(note).collect())
    }

    fn note(&self, customer: &ExternalId, record: &Json, key: &str, text: &str, class: Class) -> Observation {
        let shape = Shape::Full([(Field::BODY, Value::text(text))].into());
        let note = Observation::new(Kind::Note, customer.inner(key), class, shape);
        Observation { parent: Some(customer.clone()), ..self.dated(note, record) }
    }

    /// Opens the notes of a customer. One who never had any may list other values only: notes can be put there, and nothing is
    /// said of those that were.
    async fn open(&self, customer: &ExternalId) -> Result<Open, SystemError> {
        self.prepare().await?;
        if let Home::Kept(reason) = self.home(Kind::Note) {
            return Err(self.refused(reason));
        }
        let (status, json) = self.get(&self.path(Kind::Contact, customer)?).await?;
        let record = &json["data"];
        let card = self.card();
        let text = card.notes(record);
        if text.is_none() && !card.lists_no_notes(record) {
            return Err(self.garbled(status, "a customer without its fields"));
        }
        let book = Notebook::parse(text.unwrap_or_default());
        Ok(Open { customer: customer.clone(), record: record.clone(), book, is_told: text.is_some(), status })
    }

    /// What is missing in a text that was not shown, or that may have been cut, is not gone. A person's own text is above the
    /// block, cut or not.
    fn missing(&self, open: &Open, key: &str) -> SystemError {
        let status = open.status;
        match (open.is_told, open.book.is_whole() || key == OWN) {
            (false, _) => self.garbled(status, UNTOLD),
            (true, false) => self.garbled(status, CUT),
            (true, true) => SystemError::Gone { system: System::Timify, status },
        }
    }

    pub(super) async fn read_note(&self, place: &Place) -> Result<Reading, SystemError> {
        let (customer, key) = placed(&place.id).ok_or_else(|| self.refused(ELSEWHERE))?;
        let gone = |status| Ok(Reading::new(wire::gone(place), status));
        let open = match self.open(&customer).await {
            Ok(open) => open,
            Err(SystemError::Gone { status, .. }) => {
                return gone(status).map(|reading| Reading { orphaned: true, ..reading });
            }
            Err(error) => return Err(error),
        };
        let own = open.book.own();
        let own = Some(own.as_str()).filter(|own| key == OWN && !Value::text(own).is_blank());
        match own.or_else(|| open.book.get(key)) {
            Some(text) => {
                let note = self.note(&customer, &open.record, key, text, Class::Current);
                Ok(Reading::new(note, open.status))
            }
            None => match self.missing(&open, key) {
                SystemError::Gone { status, .. } => gone(status),
                error => Err(error),
            },
        }
    }

    /// The notes of ours in a customer that have the wanted text, or the key of a create that was sent before.
    pub(super) async fn find_notes(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        let Some(customer) = &wanted.parent else { return Ok(Vec::new()) };
        let open = self.open(customer).await?;
        let text = wanted.fields.get(&Field::BODY).and_then(Value::as_text).unwrap_or_default();
        let items = open.book.items().iter().filter(|item| item.text == text);
        let reading = |key: &str, text: &str| {
            Reading::new(self.note(customer, &open.record, key, text, Class::Current), open.status)
        };
        let sent = wanted.key.map(|key| key.simple().to_string());
        let made = sent.and_then(|sent| open.book.items().iter().find(|item| sent.ends_with(&item.key)));
        Ok(match made {
            Some(item) => vec![reading(&item.key, &item.text)],
            None => items.map(|item| reading(&item.key, &item.text)).collect(),
        })
    }

    pub(super) async fn write_note(&self, step: &Step) -> Result<Answer, SystemError> {
        let text = step.fields.get(&Field::BODY).and_then(Value::as_text).unwrap_or_default();
        let (customer, key) = match (&step.id, &step.parent) {
            (None, Some(customer)) => (customer.clone(), key_of(step, text)),
            (None, None) => return Err(self.refused("a note in TIMIFY stands in its customer, and none is named")),
            (Some(id), _) => {
                let (customer, key) = placed(id).ok_or_else(|| self.refused(ELSEWHERE))?;
                (customer, key.to_owned())
            }
        };
        if key == OWN {
            return Err(self.refused(ITS_AUTHOR));
        }
        let _turn = self.turns.take(&customer).await;
        let mut open = self.open(&customer).await?;
        if step.action != Action::Create && open.book.get(&key).is_none() {
            return Err(self.missing(&open, &key));
        }
        let before = open.book.clone();
        match step.action {
            Action::Create | Action::Update => open.book.put(&key, text),
            Action::Delete => open.book.remove(&key),
            _ => return Err(self.refused("TIMIFY has no such call")),
        }
        let status = if open.book == before { open.status } else { self.rewrite(&open).await? };
        Ok(Answer { id: customer.inner(&key), shown: None, status })
    }

    /// Writes the text back, and nothing else.
    async fn rewrite(&self, open: &Open) -> Result<u16, SystemError> {
        let card = self.card();
        if card.notes_id().is_none() {
            return Err(self.refused(NO_NOTES_FIELD));
        }
        let text = open.book.print();
        let body = |card: &Card<'_>| {
            let entry = card.notes_id().map(|id| customers::entry(id, &text));
            json!({ "customfields": Vec::from_iter(entry) })
        };
        let path = self.path(Kind::Contact, &open.customer)?;
        Ok(self.send(Method::PATCH, &path, card, body).await?.0)
    }
}
