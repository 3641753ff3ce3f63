//! Guests are invited: a link that is good for one booking is made, and written where the contact finds it.
//!
//! In: an operator's order. Out: a row that says how it stands, from before the vendor is asked; the link in a field, a note
//! or a task of the contact, as an operator's change that goes the way of every change. Following the link is left to
//! `reconcile`. The row does not have the link; the contact's fields, and the change that wrote it there, do.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::Running;
use crate::clock::Millis;
use crate::http::{Invite, OpsError};
use crate::model::{
    Correction, EntityId, Field, Fields, Invitation, InvitationState, Kind, Mode, NewChange, System, Value, Whole,
    WrittenTo,
};
use crate::store::present;
use crate::systems::call::encode;
use crate::systems::{Inviting, OneTimeLink, Site, SystemError};

/// Invitations that are listed.
pub(super) const MOST: u32 = 1_000;
/// The parameter of a link that carries the contact's id in GHL; TimeRex gives it back with the booking (premium plans).
const CORRELATION: &str = "ghl_contact_id";

/// One invitation for people, without its link.
pub(super) fn shown(one: &Invitation) -> Json {
    json!({
        "id": one.id, "contact": one.contact, "calendar": one.calendar, "to": one.written_to.to_string(),
        "state": one.state, "booking": one.booking, "watched": one.watched, "reason": one.reason,
        "made": one.made.rfc3339(), "looked_at_next": one.due.map(Millis::rfc3339),
    })
}

impl Running {
    /// Invites a contact.
    pub(super) async fn invited(&self, site: &Site, order: &Invite) -> Result<Json, OpsError> {
        let workspace = &site.workspace.name;
        let refused = |why: String| Err(OpsError::Conflict(why));
        if self.store.mode(workspace).await.map_err(OpsError::failed)? != Some(Mode::Live) {
            return refused(format!(
                "workspace `{workspace}` is in shadow mode: no link is made and nothing is written"
            ));
        }
        let contact = self.contact(workspace, &order.contact).await?;
        let Some(inviting) = site.inviting.get(&System::Timerex) else {
            return refused(format!("workspace `{workspace}` has no account in timerex"));
        };
        let calendar = calendar(site, &order.calendar)?;
        check_place(site, order)?;

        let now = self.clock.now();
        let (id, person) = (self.ids.uuid(now), contact.entity.id);
        let mut one = Invitation::new(id, workspace, person, &order.calendar, order.to.clone(), now);
        self.put(&mut one, &[]).await?;
        let link = match inviting.invite(calendar).await {
            Ok(link) => link,
            Err(error) => return refused(self.not_invited(&mut one, &error).await?),
        };
        let now = self.clock.now();
        one.opened(link.id.clone(), now);
        let change = self.written(&one, order, &contact, &link, now)?;
        self.put(&mut one, &[change]).await?;
        self.wake();
        self.watch(&mut one, inviting.as_ref(), &link).await;
        Ok(shown(&one))
    }

    async fn put(&self, one: &mut Invitation, changes: &[NewChange]) -> Result<(), OpsError> {
        if !self.store.put_invitation(one, changes).await.map_err(OpsError::failed)? {
            return Err(OpsError::Conflict("the invitation was given up meanwhile; invite again".to_owned()));
        }
        one.rev += 1;
        Ok(())
    }

    /// There is no link that anybody knows of. Gives what to tell the operator; nothing is tried again.
    async fn not_invited(&self, one: &mut Invitation, error: &SystemError) -> Result<String, OpsError> {
        let unclear = matches!(error, SystemError::Unclear { .. } | SystemError::Garbled { .. });
        let (state, rest) = if unclear {
            let rest = "there may be a link that nobody has. Nothing was written and nothing is tried again: invite once \
                        more if you like";
            (InvitationState::Unclear, rest)
        } else {
            (InvitationState::Refused, "no link was made and nothing was written")
        };
        one.failed(state, error.to_string());
        self.put(one, &[]).await?;
        Ok(format!("{error}; {rest}"))
    }

    /// The one live contact that a text names.
    async fn contact(&self, workspace: &str, text: &str) -> Result<Whole, OpsError> {
        let mut found: BTreeMap<EntityId, Whole> = BTreeMap::new();
        for id in self.store.named(text).await.map_err(OpsError::failed)? {
            let whole = present(self.store.as_ref(), id).await.map_err(OpsError::failed)?;
            let contact = whole.filter(|whole| whole.entity.kind == Kind::Contact && whole.entity.is_live());
            found.extend(contact.map(|whole| (whole.entity.id, whole)));
        }
        found.retain(|_, whole| whole.entity.workspace == workspace);
        if found.len() > 1 {
            let ids: Vec<String> = found.keys().map(ToString::to_string).collect();
            return Err(OpsError::Conflict(format!(
                "several contacts are named so; name one by its id: {}",
                ids.join(", ")
            )));
        }
        let nobody = || OpsError::Conflict(format!("no contact of workspace `{workspace}` is named so"));
        found.into_values().next().ok_or_else(nobody)
    }

    /// The operator's change by which the link comes to the contact.
    fn written(
        &self,
        one: &Invitation,
        order: &Invite,
        contact: &Whole,
        link: &OneTimeLink,
        now: Millis,
    ) -> Result<NewChange, OpsError> {
        let (person, url) = (&contact.entity, correlated(link, contact));
        let made = |kind| (kind, EntityId(self.ids.uuid(now)), Some(person.id));
        let (title, calendar) = (format!("Send booking link ({})", one.calendar), &one.calendar);
        let ((kind, entity, parent), fields) = match &one.written_to {
            WrittenTo::Field(field) => {
                ((Kind::Contact, person.id, None), Fields::from([(field.clone(), Value::text(url))]))
            }
            WrittenTo::Note => {
                (made(Kind::Note), [(Field::BODY, Value::text(format!("Booking link ({calendar}): {url}")))].into())
            }
            WrittenTo::Task => {
                let due = order.due.map_or(Value::Blank, Value::Instant);
                let words = [(Field::TITLE, Value::text(title)), (Field::BODY, Value::text(url)), (Field::DUE, due)];
                (
                    made(Kind::Task),
                    Fields::from(words).into_iter().chain([(Field::COMPLETED, Value::Flag(false))]).collect(),
                )
            }
        };
        let saw =
            fields.keys().filter(|_| parent.is_none()).map(|field| (field.clone(), person.stamp(field))).collect();
        let correction = Correction { kind, entity, parent, fields, saw, restores: BTreeMap::new() };
        let key = format!("operator/invitation/{}", one.id);
        NewChange::from_operator("invitation", key, &one.workspace, System::Timerex, kind, &correction, now)
            .map_err(OpsError::failed)
    }

    /// Has the vendor tell us what happens to the link, if that is set up. Without, looking from time to time tells.
    async fn watch(&self, one: &mut Invitation, inviting: &dyn Inviting, link: &OneTimeLink) {
        let served = self.roster.served();
        let entry = served.config.workspaces.iter().find(|entry| entry.name == one.workspace);
        let account = entry.and_then(|entry| entry.accounts.get(&System::Timerex));
        let connection = account.and_then(|account| served.config.connections.get(&account.connection));
        let token = connection.and_then(|connection| connection.push_tokens.first());
        let (Some(token), Some(public)) = (token, &served.config.server.public_url) else { return };
        let notify = format!("{}/webhooks/timerex/{}", public.trim_end_matches('/'), encode(&one.workspace));
        match inviting.watch(&link.id, token, &notify).await {
            Ok(()) => one.watched = true,
            Err(error) => {
                tracing::warn!(workspace = %one.workspace, %error, "a link is not watched; looking at it tells");
                one.reason = Some(format!("it is not watched: {error}"));
            }
        }
        if let Err(error) = self.put(one, &[]).await {
            tracing::warn!(workspace = %one.workspace, %error, "whether a link is watched was not kept");
        }
    }
}

/// The vendor's id of a calendar.
fn calendar<'a>(site: &'a Site, name: &str) -> Result<&'a str, OpsError> {
    let row = site.workspace.calendars.iter().find(|row| row.name == name);
    let none =
        || OpsError::Conflict(format!("there is no calendar `{name}` with a `timerex` id ([[workspaces.calendars]])"));
    row.and_then(|row| row.timerex.as_deref()).ok_or_else(none)
}

/// Whether there is such a place for a link, and a time where one is needed.
fn check_place(site: &Site, order: &Invite) -> Result<(), OpsError> {
    let held = |kind| site.targets.values().any(|target| target.home(kind).holds());
    let why = match &order.to {
        WrittenTo::Field(field) => {
            let name = field.as_custom().unwrap_or_default();
            let fields = site.workspace.fields.get(&System::Ghl);
            let mapped = name != "status" && fields.is_some_and(|fields| fields.contains_key(name));
            (!mapped).then(|| format!("[workspaces.ghl.fields] names no custom field `{name}` that could hold a link"))
        }
        WrittenTo::Note => (!held(Kind::Note)).then(|| "no system here holds notes".to_owned()),
        WrittenTo::Task if order.due.is_none() => Some("a task needs a time at which it is due (`due`)".to_owned()),
        WrittenTo::Task => (!held(Kind::Task)).then(|| "no system here holds tasks".to_owned()),
    };
    why.map_or(Ok(()), |why| Err(OpsError::Conflict(why)))
}

/// The link with the contact's id in GHL, if it has one.
fn correlated(link: &OneTimeLink, contact: &Whole) -> String {
    let url = link.url.expose();
    let Some(known) = contact.link(System::Ghl) else { return url.to_owned() };
    let (address, fragment) = url.split_once('#').map_or((url, String::new()), |(a, f)| (a, format!("#{f}")));
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}{CORRELATION}={}{fragment}", encode(known.id.as_str()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;
    use crate::model::{Entity, ExternalId, Link};
    use crate::secret::Secret;

    #[rstest]
    #[case::plain("https://timerex.net/s/x", "https://timerex.net/s/x?ghl_contact_id=a%2Fb")]
    #[case::with_a_query("https://timerex.net/s/x?l=ja", "https://timerex.net/s/x?l=ja&ghl_contact_id=a%2Fb")]
    #[case::with_a_fragment("https://timerex.net/s/x#top", "https://timerex.net/s/x?ghl_contact_id=a%2Fb#top")]
    fn a_link_carries_the_contacts_id_in_ghl(#[case] url: &str, #[case] expected: &str) {
        let entity = Entity::new(EntityId(Uuid::from_u128(1)), "main", Kind::Contact, Millis(0));
        let link = OneTimeLink { id: ExternalId::new("l"), url: Secret::new(url) };
        let mut contact = Whole { entity, links: Vec::new(), mirrors: Vec::new() };
        assert_eq!(correlated(&link, &contact), url, "it is not there");
        let known = Link::new("main", contact.entity.id, System::Ghl, Kind::Contact, ExternalId::new("a/b"));
        contact.links.push(known);
        assert_eq!(correlated(&link, &contact), expected);
    }
}
