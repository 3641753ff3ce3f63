//! Who must be told: to which systems an entity has to be brought. Pure.

use super::plan::{Plan, plan};
use crate::model::{
    CreateRule, Entity, ExternalId, Field, Home, Kind, Link, LinkState, Mirror, MirrorState, System, Terms, Whole,
    Workspace,
};

/// Whether an entity may be made in a system where it has no live link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// Yes.
    Allowed,
    /// No, and `explain` says why.
    Not(&'static str),
}

/// Whether the workspace's rules let an entity be made in a system. `booked`: whether the contact has an appointment.
pub fn creation(whole: &Whole, terms: &dyn Terms, workspace: &Workspace, booked: bool) -> Creation {
    let system = terms.system();
    let Entity { kind, .. } = whole.entity;
    let tombstone = whole.links.iter().any(|link| link.system == system && link.state == LinkState::Gone);
    let rule = workspace.policy.create.get(&system).copied().unwrap_or(CreateRule::Off);
    if !workspace.accounts.contains_key(&system) {
        Creation::Not("the workspace has no account there")
    } else if let Home::Kept(reason) | Home::Refused(reason) = terms.home(kind) {
        Creation::Not(reason)
    } else if let Err(reason) = terms.creates(kind) {
        Creation::Not(reason)
    } else if tombstone {
        Creation::Not("it was deleted there, and deleted stays deleted until `lockstep deletion ... remake`")
    } else if kind == Kind::Contact && rule == CreateRule::Off {
        Creation::Not("create is `off` for contacts there")
    } else if kind == Kind::Contact && rule == CreateRule::Booked && !booked {
        Creation::Not("create is `booked` for contacts there, and it has no appointment")
    } else {
        Creation::Allowed
    }
}

/// Why nothing is owed to a system in which an entity is not, in one line for people.
pub fn absence(whole: &Whole, terms: &dyn Terms, workspace: &Workspace, booked: bool) -> &'static str {
    let entity = &whole.entity;
    match creation(whole, terms, workspace, booked) {
        Creation::Not(reason) => reason,
        Creation::Allowed if !entity.is_live() => "it is deleted or merged, so it is not made anywhere",
        Creation::Allowed if entity.is_placeholder() => "only its id is known so far; it is made once it was read",
        Creation::Allowed if !terms.wants(entity) => {
            "as it now stands it has no place there (what is cancelled does not exist)"
        }
        Creation::Allowed => "it could be there by now, and was not told to: the next full reconcile makes it",
    }
}

/// Whether the system has to be called for this entity as it now stands. A child whose contact is not there counts: its
/// lane finds out and waits.
pub fn is_owed(whole: &Whole, terms: &dyn Terms, workspace: &Workspace, booked: bool) -> bool {
    if whole.entity.is_placeholder() {
        return false;
    }
    let link = whole.link(terms.system());
    match plan(&whole.entity, link, None, terms) {
        Plan::Settled { moves, stuck } => {
            let told = whole.mirror(terms.system()).and_then(|mirror| mirror.reason.as_deref());
            !moves.is_empty() || (!stuck.is_empty() && told != Some(&cannot_change(terms.system(), &stuck)))
        }
        Plan::Create(_) => creation(whole, terms, workspace, booked) == Creation::Allowed,
        Plan::Blocked(_) => link.is_some() || creation(whole, terms, workspace, booked) == Creation::Allowed,
        Plan::Steps(_) => true,
    }
}

/// Why fields differ that nothing can make equal.
pub fn cannot_change(system: System, stuck: &[Field]) -> String {
    let names: Vec<&str> = stuck.iter().map(Field::name).collect();
    // The one field whose form, and not the lack of a call, keeps it from being written.
    let hint = if stuck.contains(&Field::PHONE) { " (a number that says no country: set `region`)" } else { "" };
    format!(
        "{system} has no call that makes {} what it is here{hint}: a person has to see to it there",
        names.join(", ")
    )
}

/// The parent's id in a system, if it is there.
pub fn parent_id(parent: Option<&Whole>, system: System) -> Option<&ExternalId> {
    parent.and_then(|parent| parent.link(system)).filter(|link| Link::is_live(link)).map(|link| &link.id)
}

/// The mirror of an entity in a system; a new one if there is none yet.
pub fn mirror_of(whole: &Whole, system: System) -> Mirror {
    whole.mirror(system).cloned().unwrap_or_else(|| Mirror::new(&whole.entity.workspace, whole.entity.id, system))
}

/// Makes a mirror due. An earlier due time stays, and so does a hold.
pub fn make_due(mirror: &mut Mirror, due: crate::clock::Millis, now: crate::clock::Millis) {
    if mirror.state != MirrorState::Due || mirror.due > due {
        mirror.due = due;
    }
    if mirror.state != MirrorState::Due {
        mirror.tries = 0;
        mirror.reason = None;
    }
    mirror.since = mirror.since.or(Some(now));
    mirror.state = MirrorState::Due;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::model::{Author, EntityId, Life, Stamp, Value};
    use crate::resolve::sample::Sample;
    use rstest::rstest;

    const STAMP: Stamp = Stamp { t: Millis(1), author: Author::Ghl };

    fn contact() -> Whole {
        let mut entity = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Contact, Millis(0));
        entity.set(Field::EMAIL, Value::text("a@b.example"), STAMP);
        Whole { entity, links: Vec::new(), mirrors: Vec::new() }
    }

    fn gone(whole: &mut Whole) {
        let id = ExternalId::new("1");
        let link = Link::new("w", whole.entity.id, System::Timify, Kind::Contact, id);
        whole.links.push(Link { state: LinkState::Gone, ..link });
    }

    fn create(workspace: &mut Workspace, rule: CreateRule) {
        workspace.policy.create.insert(System::Timify, rule);
    }

    #[rstest]
    #[case::no_account(|_: &mut Whole, _: &mut Sample, workspace: &mut Workspace| workspace.accounts.clear(), "the workspace has no account there")]
    #[case::no_call(|_: &mut Whole, terms: &mut Sample, _: &mut Workspace| terms.creates = Err("only guests book"), "only guests book")]
    #[case::tombstone(|whole: &mut Whole, _: &mut Sample, _: &mut Workspace| gone(whole), "deleted stays deleted")]
    #[case::off(|_: &mut Whole, _: &mut Sample, workspace: &mut Workspace| create(workspace, CreateRule::Off), "create is `off`")]
    #[case::not_booked(|_: &mut Whole, _: &mut Sample, workspace: &mut Workspace| create(workspace, CreateRule::Booked), "create is `booked`")]
    #[case::deleted(|whole: &mut Whole, _: &mut Sample, _: &mut Workspace| whole.entity.life = Life::Deleted(STAMP), "deleted or merged")]
    #[case::placeholder(|whole: &mut Whole, _: &mut Sample, _: &mut Workspace| whole.entity.fields.clear(), "only its id is known")]
    #[case::not_wanted(|_: &mut Whole, terms: &mut Sample, _: &mut Workspace| terms.wants = |_| false, "it has no place there")]
    #[case::owed(|_: &mut Whole, _: &mut Sample, _: &mut Workspace| {}, "the next full reconcile makes it")]
    fn what_is_not_in_a_system_has_a_reason(
        #[case] change: fn(&mut Whole, &mut Sample, &mut Workspace),
        #[case] reason: &str,
    ) {
        let (mut whole, mut terms) = (contact(), Sample::plain(System::Timify));
        let accounts = [(System::Timify, "company".to_owned())].into();
        let mut workspace = Workspace { accounts, ..Workspace::default() };
        create(&mut workspace, CreateRule::All);
        change(&mut whole, &mut terms, &mut workspace);
        let told = absence(&whole, &terms, &workspace, false);
        assert!(told.contains(reason), "{told}");
    }
}
