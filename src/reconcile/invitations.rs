//! Invitations: links that guests were sent are looked at, soon after the vendor told of one, and from time to time without.
//!
//! In: the invitations of a site that are due. Out: how each stands, and the booking that its guest made as a row of the
//! change log, so that it comes in though its webhook was lost. The guest is whoever was invited, under whatever e-mail.

use std::sync::Arc;

use crate::clock::{Clock, Millis};
use crate::ids::Ids;
use crate::model::{
    EntityId, Field, Guest, Invitation, InvitationState, Moved, NewChange, Observation, Origin, Shape, System, Value,
};
use crate::resolve::claim;
use crate::store::{Entities, Invitations, StoreError, present};
use crate::systems::{Decision, Looked, Site, SystemError, trail};

/// Invitations looked at in one go.
const BATCH: u32 = 32;

/// Follows invitations.
pub struct Follower {
    /// The invitations.
    pub invitations: Arc<dyn Invitations>,
    /// Who is invited.
    pub entities: Arc<dyn Entities>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<Ids>,
}

impl Follower {
    /// Looks at the links that are due. Gives how many bookings became rows. When calls are put off, the rest is left to the
    /// next time.
    pub async fn follow(&self, site: &Site) -> Result<usize, StoreError> {
        let (workspace, mut rows) = (&site.workspace.name, 0);
        for mut one in self.invitations.due_invitations(workspace, self.clock.now(), BATCH).await? {
            let Some(inviting) = site.inviting.get(&System::Timerex) else { return Ok(rows) };
            let Some(link) = one.link.clone() else {
                one.failed(InvitationState::Unclear, "the service ended before it knew the link".to_owned());
                self.invitations.put_invitation(&one, &[]).await?;
                continue;
            };
            let sent = self.clock.now();
            let (looked, _) = trail::follow(inviting.look(&link)).await;
            let mut changes = Vec::new();
            let goes_on = match looked {
                Ok(looked) => {
                    changes.extend(self.booked(&one, &looked).await?);
                    one.seen(looked.state, looked.booking.as_ref(), sent);
                    true
                }
                Err(SystemError::Spent { .. } | SystemError::Failing { .. }) => false,
                Err(error) => put_off(&mut one, &error, sent),
            };
            // Another process may have seen it first; then its word stands.
            if self.invitations.put_invitation(&one, &changes).await? {
                rows += changes.len();
            }
            if !goes_on {
                break;
            }
        }
        Ok(rows)
    }

    /// The row of a booking that is not known to stand so.
    async fn booked(&self, one: &Invitation, looked: &Looked) -> Result<Option<NewChange>, StoreError> {
        let Some(booking) = looked.booking.as_ref() else { return Ok(None) };
        if one.state == looked.state && one.booking.as_ref() == Some(&booking.id) {
            return Ok(None);
        }
        let correlation = self.in_ghl(one.contact).await?;
        let mut seen = completed(booking.clone(), &one.calendar, correlation);
        if (one.state, looked.state) == (InvitationState::Confirmed, InvitationState::Confirmed) {
            // A link is good for one booking: another one took its place.
            seen.moved = seen.moved.or(one.booking.clone().map(Moved::From));
        }
        let now = self.clock.now();
        Ok(Some(claim::row(Origin::Look, &one.workspace, System::Timerex, &seen, self.ids.uuid(now), now)))
    }

    /// The id of a contact in GHL, by which a guest is told to be that contact.
    async fn in_ghl(&self, contact: EntityId) -> Result<Option<String>, StoreError> {
        let whole = present(self.entities.as_ref(), contact).await?;
        Ok(whole.and_then(|whole| whole.link(System::Ghl).map(|link| link.id.to_string())))
    }
}

/// A look failed. Gives whether that was about this link alone, so that others are worth a look.
fn put_off(one: &mut Invitation, error: &SystemError, sent: Millis) -> bool {
    let decision = error.decision();
    let after = if let Decision::Later(after) = decision { Some(after) } else { None };
    one.not_seen(error.to_string(), after, sent);
    matches!(decision, Decision::Look | Decision::Park)
}

/// The booking with what the link alone tells: the calendar that it is on, and who was invited.
fn completed(mut booking: Observation, calendar: &str, correlation: Option<String>) -> Observation {
    if let Shape::Full(fields) | Shape::Partial(fields) = &mut booking.shape {
        fields.entry(Field::CALENDAR).or_insert_with(|| Value::text(calendar));
    }
    if correlation.is_some() {
        let nobody = || Box::new(Guest { correlation: None, fields: [].into(), comment: None, typed: None });
        booking.guest.get_or_insert_with(nobody).correlation = correlation;
    }
    booking
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Class, ExternalId, Kind};

    fn booking() -> Observation {
        let fields = [(Field::STATUS, Value::text("confirmed"))].into();
        Observation::new(Kind::Appointment, ExternalId::new("b"), Class::Claim, Shape::Partial(fields))
    }

    #[test]
    fn the_guest_is_whoever_was_invited_whatever_the_link_itself_says() {
        let mut typed = booking();
        let (correlation, comment) = (Some("other".to_owned()), Some("hi".to_owned()));
        let guest = Guest { correlation, fields: [].into(), comment, typed: None };
        typed.guest = Some(Box::new(guest));
        let seen = completed(typed, "intro", Some("ghl-1".to_owned()));
        let guest = seen.guest.unwrap();
        assert_eq!((guest.correlation.as_deref(), guest.comment.as_deref()), (Some("ghl-1"), Some("hi")));
        assert_eq!(completed(booking(), "intro", None).guest, None);
    }

    #[test]
    fn a_calendar_that_the_booking_itself_names_stays() {
        let calendar = |seen: &Observation| seen.fields().unwrap()[&Field::CALENDAR].clone();
        let seen = completed(booking(), "intro", None);
        assert_eq!(calendar(&seen), Value::text("intro"));
        assert_eq!(calendar(&completed(seen, "other", None)), Value::text("intro"));
    }
}
