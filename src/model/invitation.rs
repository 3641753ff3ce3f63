//! Invitations: links by which one guest books once, and what became of each.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

use super::{EntityId, ExternalId, Field, Observation, UnknownWord, words};
use crate::clock::Millis;

/// How long after it was made a link is looked at first; each time that nothing is new, the pause doubles.
const FIRST_PAUSE: Duration = Duration::from_mins(15);
/// How long after a look that failed the next is made; this doubles too.
const AGAIN: Duration = Duration::from_mins(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_hours(6);
/// A link that is older is no longer looked at.
const FOLLOWED: Duration = Duration::from_hours(90 * 24);
/// Who asked for a link and never wrote down an answer has died meanwhile.
const ASKING: Duration = Duration::from_mins(10);

words! {
    /// How an invitation stands.
    InvitationState {
        /// The vendor is being asked for a link.
        Asked = "asked",
        /// There is no link: the vendor refused, or could not be reached.
        Refused = "refused",
        /// It is not known whether there is a link, and what it is. Nobody has it.
        Unclear = "unclear",
        /// The guest has the link and has not booked.
        Open = "open",
        /// The guest has booked.
        Confirmed = "confirmed",
        /// The booking was cancelled.
        Cancelled = "cancelled",
        /// Nobody booked by it for so long that it is no longer looked at.
        Unused = "unused",
    }
}

/// Where a contact finds the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenTo {
    /// In a note of its own.
    Note,
    /// In a task of its own.
    Task,
    /// In a custom field of the contact.
    Field(Field),
}

impl fmt::Display for WrittenTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note => f.write_str("note"),
            Self::Task => f.write_str("task"),
            Self::Field(field) => write!(f, "field:{}", field.as_custom().unwrap_or(field.name())),
        }
    }
}

impl FromStr for WrittenTo {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.strip_prefix("field:").filter(|name| !name.is_empty())) {
            ("note", _) => Ok(Self::Note),
            ("task", _) => Ok(Self::Task),
            (_, Some(name)) => Ok(Self::Field(Field::custom(name))),
            _ => Err(UnknownWord::new("place for a link (note, task, field:NAME)", text)),
        }
    }
}

/// One invitation. The link itself is not in it: whoever has it can book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: Uuid,
    /// The workspace.
    pub workspace: String,
    /// Who is invited.
    pub contact: EntityId,
    /// The name of the `calendars` row that the link is for.
    pub calendar: String,
    /// Where the contact finds the link.
    pub written_to: WrittenTo,
    /// How it stands.
    pub state: InvitationState,
    /// The vendor's id of the link.
    pub link: Option<ExternalId>,
    /// The booking that the guest made.
    pub booking: Option<ExternalId>,
    /// Whether the vendor tells us when something happens.
    pub watched: bool,
    /// What went wrong last, in one line.
    pub reason: Option<String>,
    /// When it was asked for.
    pub made: Millis,
    /// When the link was last looked at; what is told of it from then on is not known yet.
    pub looked: Millis,
    /// When it is looked at next, if nothing is told before; `None`: no more.
    pub due: Option<Millis>,
    /// How often it was looked at and nothing was new.
    pub idle: u32,
    /// Row revision; 0 until it is stored.
    pub rev: i64,
}

impl Invitation {
    /// An invitation whose link the vendor is about to be asked for.
    pub fn new(
        id: Uuid,
        workspace: &str,
        contact: EntityId,
        calendar: &str,
        written_to: WrittenTo,
        now: Millis,
    ) -> Self {
        Self {
            id,
            workspace: workspace.to_owned(),
            contact,
            calendar: calendar.to_owned(),
            written_to,
            state: InvitationState::Asked,
            link: None,
            booking: None,
            watched: false,
            reason: None,
            made: now,
            looked: now,
            due: Some(now + ASKING),
            idle: 0,
            rev: 0,
        }
    }

    /// The vendor made the link.
    pub fn opened(&mut self, link: ExternalId, now: Millis) {
        (self.state, self.link, self.reason) = (InvitationState::Open, Some(link), None);
        (self.looked, self.due) = (now, Some(now + FIRST_PAUSE));
    }

    /// There is no link, or none that anybody knows of.
    pub fn failed(&mut self, state: InvitationState, reason: String) {
        (self.state, self.reason, self.due) = (state, Some(reason), None);
    }

    /// A look that was sent at this time showed it so. It is followed until the booking has taken place.
    pub fn seen(&mut self, state: InvitationState, booking: Option<&Observation>, sent: Millis) {
        self.idle = if state == self.state { self.idle.saturating_add(1) } else { 0 };
        (self.state, self.reason, self.looked) = (state, None, sent);
        if let Some(booking) = booking {
            self.booking = Some(booking.id.clone());
        }
        let end = booking.and_then(|booking| booking.fields()?.get(&Field::END)?.as_instant());
        self.due = Some(sent + self.pause(FIRST_PAUSE)).filter(|_| end.is_none_or(|end| end > sent));
        self.grow_old(sent);
    }

    /// A look failed: it is repeated, not before `after`.
    pub fn not_seen(&mut self, reason: String, after: Option<Duration>, sent: Millis) {
        (self.reason, self.looked) = (Some(reason), sent);
        self.due = Some(sent + after.unwrap_or_else(|| self.pause(AGAIN)));
        self.idle = self.idle.saturating_add(1);
        self.grow_old(sent);
    }

    fn pause(&self, first: Duration) -> Duration {
        first.saturating_mul(2_u32.saturating_pow(self.idle)).min(LONGEST_PAUSE)
    }

    fn grow_old(&mut self, now: Millis) {
        if now.since(self.made) > FOLLOWED {
            self.due = None;
            if self.state == InvitationState::Open {
                self.state = InvitationState::Unused;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Class, Kind, Shape, Value};

    fn open() -> Invitation {
        let contact = EntityId(Uuid::from_u128(1));
        let mut one = Invitation::new(Uuid::from_u128(2), "main", contact, "intro", WrittenTo::Note, Millis(0));
        one.opened(ExternalId::new("link"), Millis(0));
        one
    }

    fn booking(end: Millis) -> Observation {
        let fields = [(Field::END, Value::Instant(end))].into();
        Observation::new(Kind::Appointment, ExternalId::new("booking"), Class::Claim, Shape::Partial(fields))
    }

    #[test]
    fn pauses_grow_while_nothing_is_new_and_start_again_when_something_is() {
        let mut one = open();
        let mut now = Millis(0);
        let mut minutes = Vec::new();
        for _ in 0..7 {
            let due = one.due.unwrap();
            minutes.push(due.since(now).as_secs() / 60);
            now = due;
            one.seen(InvitationState::Open, None, now);
        }
        assert_eq!(minutes, [15, 30, 60, 120, 240, 360, 360]);
        one.seen(InvitationState::Confirmed, Some(&booking(now + LONGEST_PAUSE * 9)), now);
        assert_eq!((one.due, one.booking), (Some(now + FIRST_PAUSE), Some(ExternalId::new("booking"))));
    }

    #[test]
    fn it_is_followed_until_the_booking_has_taken_place_or_for_ninety_days() {
        let (mut booked, mut ignored, mut unreachable) = (open(), open(), open());
        booked.seen(InvitationState::Confirmed, Some(&booking(Millis(50))), Millis(50));
        assert_eq!((booked.state, booked.due), (InvitationState::Confirmed, None));
        let late = Millis(1) + FOLLOWED;
        ignored.seen(InvitationState::Open, None, Millis(0) + FOLLOWED);
        assert!(ignored.due.is_some());
        ignored.seen(InvitationState::Open, None, late);
        assert_eq!((ignored.state, ignored.due), (InvitationState::Unused, None));
        unreachable.not_seen("away".to_owned(), None, late);
        assert_eq!((unreachable.state, unreachable.due), (InvitationState::Unused, None));
    }

    #[test]
    fn a_place_for_a_link_is_read_as_it_is_written() {
        for text in ["note", "task", "field:booking_link"] {
            assert_eq!(text.parse::<WrittenTo>().unwrap().to_string(), text);
        }
        for bad in ["", "notes", "field:", "field"] {
            assert!(bad.parse::<WrittenTo>().is_err(), "{bad}");
        }
    }
}
