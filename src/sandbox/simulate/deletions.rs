//! R10: what we deleted had been looked at, and so had all that belongs to it; and who deleted it first had got what it said.
//!
//! In: the objects that people and we deleted, and what is known of them in the end. Out: what should stand there still.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::people::Typed;
use super::sightings::Sightings;
use super::story::{STAND_INS, stand_in};
use crate::clock::Millis;
use crate::model::{Field, Kind, Link, Whole};
use crate::sandbox::{Sandbox, StandIn};

/// How long before a deletion what is deleted was looked at, at most: while a system is down, its deletion waits.
const LOOKED_AT: Duration = Duration::from_mins(2);

/// All that was deleted.
#[derive(Debug, Default)]
pub struct Deletions {
    people: BTreeMap<String, Millis>,
    ours: Vec<Deleted>,
}

/// An object that we deleted.
#[derive(Debug)]
struct Deleted {
    object: String,
    at: Millis,
    /// The edits whose values stood in it.
    held: BTreeSet<u32>,
    /// Those of them that had never been shown to us.
    unseen: BTreeSet<u32>,
    /// The objects that we had looked at before, and that were there still.
    beside: BTreeSet<String>,
}

/// What the deletions of a workspace are judged by.
pub struct Facts<'a> {
    /// Its entities.
    pub wholes: Vec<&'a Whole>,
    /// What people typed in.
    pub typed: &'a [&'a Typed],
    /// What is kept as a conflict.
    pub kept: BTreeSet<&'a str>,
    /// What we were shown.
    pub seen: &'a Sightings,
}

impl Deletions {
    /// A person deleted an object.
    pub fn by_people(&mut self, object: &str, at: Millis) {
        self.people.insert(object.to_owned(), at);
    }

    /// We deleted one, in which the values of these edits stood, by a request that we sent then.
    pub fn by_us(&mut self, object: String, at: Millis, held: BTreeSet<u32>, seen: &Sightings, sandbox: &Sandbox) {
        let unseen = held.iter().copied().filter(|edit| !seen.saw(&object, *edit)).collect();
        let stands = |id: &&String| STAND_INS.iter().any(|at| stands(*at, id, sandbox));
        let beside = seen.objects().filter(stands).cloned().collect();
        self.ours.push(Deleted { object, at, held, unseen, beside });
    }

    /// What should not have been deleted.
    pub fn judge(&self, facts: &Facts<'_>) -> Vec<String> {
        self.ours.iter().flat_map(|deleted| self.amiss(deleted, facts)).collect()
    }

    fn amiss(&self, deleted: &Deleted, facts: &Facts<'_>) -> Vec<String> {
        let there = facts.long_there(deleted);
        let unseen = there.iter().filter(|typed| deleted.unseen.contains(&typed.token));
        let mut amiss: Vec<String> = unseen.map(|typed| format!("{typed:?} was deleted unseen")).collect();
        let about = |link: &&Link| link.id.as_str() == deleted.object;
        let whole = facts.wholes.iter().find(|whole| whole.links.iter().any(|link| about(&link)));
        let Some(whole) = whole else { return amiss };
        let others: Vec<&Link> = whole.links.iter().filter(|link| !about(link)).collect();
        let by: Vec<&str> =
            others.iter().map(|link| link.id.as_str()).filter(|id| self.people.contains_key(*id)).collect();
        let Some(first) = by.iter().map(|id| self.people[*id]).min() else { return amiss };
        // Who deletes a contact deletes all that belongs to it, whoever deleted it before.
        let contact = |typed: &&&Typed| {
            let mut gone = facts.contact(whole).filter_map(|link| self.people.get(link.id.as_str()));
            gone.any(|gone| typed.at < *gone && *gone <= deleted.at)
        };
        // Who deleted it, or changed it elsewhere, had what stood in it there before them.
        let not_got = there.iter().filter(|typed| !typed.replaced && !contact(typed));
        amiss.extend(not_got.map(|typed| format!("{typed:?} was deleted by who had not got it")));
        let known = |id: &str| deleted.beside.contains(id) && facts.seen.looked(id, Millis(0), deleted.at);
        let unread = |id: &str| known(id) && !facts.seen.may_have_looked(id, first, deleted.at);
        let unread = others.into_iter().filter(|link| unread(link.id.as_str()) && !self.is_gone(link, deleted.at));
        amiss.extend(unread.map(|link| format!("{} was deleted before {} was looked at", deleted.object, link.id)));
        amiss
    }

    /// Whether it was deleted by then.
    fn is_gone(&self, link: &Link, at: Millis) -> bool {
        self.deleted(link.id.as_str()).is_some_and(|gone| gone <= at)
    }

    fn deleted(&self, object: &str) -> Option<Millis> {
        let by_us = self.ours.iter().find(|one| one.object == object).map(|one| one.at);
        self.people.get(object).copied().or(by_us)
    }
}

/// Whether an object is there. An extension keeps what belongs to a vendor's contact that is gone, and nobody can ask for it.
fn stands(at: StandIn, id: &str, sandbox: &Sandbox) -> bool {
    let Some(object) = sandbox.object(at, id) else { return false };
    let contact = object["contactId"].as_str().filter(|_| at.extension);
    contact.is_none_or(|contact| sandbox.object(stand_in(at.system, Kind::Contact), contact).is_some())
}

impl Facts<'_> {
    /// The contact that something belongs to, in each system.
    fn contact(&self, whole: &Whole) -> impl Iterator<Item = &Link> {
        let parent = whole.entity.parent;
        self.wholes.iter().filter(move |one| Some(one.entity.id) == parent).flat_map(|one| &one.links)
    }

    /// What was typed in long before is known; what was typed in between is kept, if a webhook told of it.
    fn long_there(&self, deleted: &Deleted) -> Vec<&Typed> {
        // The number of its edit stands in no e-mail.
        let of = |typed: &&Typed| typed.id == deleted.object && typed.field != Field::EMAIL;
        let stood = |typed: &&Typed| of(typed) && deleted.held.contains(&typed.token);
        // A value that was set back counts from then on.
        let same = |typed: &Typed, one: &Typed| one.id == typed.id && one.token == typed.token;
        let lately = |typed: &Typed| deleted.at.since(typed.at) <= LOOKED_AT;
        let long = |typed: &&Typed| !self.typed.iter().any(|one| same(typed, one) && lately(one));
        let kept = |typed: &&Typed| self.kept.contains(typed.value.as_str());
        self.typed.iter().copied().filter(|typed| stood(typed) && long(typed) && !kept(typed)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sightings::By;
    use super::*;
    use crate::model::{Entity, EntityId, ExternalId, System};

    fn minute(at: i64) -> Millis {
        Millis(at * 60_000)
    }

    /// A task of which one object was deleted by a person in the tenth minute, and one by us in the eleventh, in which an
    /// edit of the first minute stood. Its contact may have been deleted by a person too.
    fn judged(seen: bool, replaced: bool, looked: bool, with_contact: Option<Millis>) -> Vec<String> {
        let contact = Entity::new(EntityId(uuid::Uuid::from_u128(1)), "w", Kind::Contact, Millis(0));
        let mut entity = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Task, Millis(0));
        entity.parent = Some(contact.id);
        let link = |system, id| Link::new("w", entity.id, system, Kind::Task, ExternalId::new(id));
        let links = vec![link(System::Ghl, "g"), link(System::Timify, "t"), link(System::Timerex, "x")];
        let whole = Whole { entity, links, mirrors: Vec::new() };
        let links = vec![Link::new("w", contact.id, System::Timerex, Kind::Contact, ExternalId::new("c"))];
        let contact = Whole { entity: contact, links, mirrors: Vec::new() };
        let typed = Typed {
            token: 1,
            workspace: 0,
            system: System::Timify,
            kind: Kind::Task,
            id: "t".to_owned(),
            field: Field::TITLE,
            value: "v1q".to_owned(),
            replaced,
            at: minute(1),
        };
        let (mut gone, mut sightings) = (Deletions::default(), Sightings::default());
        let held = BTreeSet::from([1]);
        gone.by_people("g", minute(10));
        if let Some(at) = with_contact {
            gone.by_people("c", at);
        }
        let unseen = if seen { BTreeSet::new() } else { held.clone() };
        let beside = BTreeSet::from(["x".to_owned()]);
        gone.ours.push(Deleted { object: "t".to_owned(), at: minute(11), held, unseen, beside });
        sightings.look(br#"{ "id": "x" }"#, By::Answer, minute(if looked { 10 } else { 9 }));
        let facts = Facts { wholes: vec![&whole, &contact], typed: &[&typed], kept: BTreeSet::new(), seen: &sightings };
        gone.judge(&facts)
    }

    #[test]
    fn what_was_looked_at_and_known_where_it_was_deleted_may_go() {
        assert_eq!(judged(true, true, true, None), Vec::<String>::new());
        assert!(judged(false, true, true, None)[0].ends_with("was deleted unseen"));
        assert!(judged(true, false, true, None)[0].ends_with("was deleted by who had not got it"));
        assert_eq!(judged(true, true, false, None), ["t was deleted before x was looked at"]);
    }

    #[test]
    fn what_belongs_to_a_contact_goes_with_it_if_it_was_typed_in_before() {
        let judged = |at| judged(true, false, true, Some(minute(at))).len();
        assert_eq!((judged(1), judged(2), judged(11), judged(12)), (1, 0, 0, 1));
    }
}
