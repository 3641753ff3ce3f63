//! What must hold at the end of a history (the invariants of the design), judged from what the stand-ins hold and what was typed
//! in; of the service only links, conflicts and what it parked are looked at.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::deletions::Facts;
use super::people::{Typed, owns};
use super::stage::Stage;
use super::story::stand_in;
use super::view::{self, Held};
use super::winners::{Hands, edits};
use super::world::{Parcel, World, lock};
use super::{calls, rates, repeats};
use crate::model::{
    CANCELLED, Conflict, EntityId, ExternalId, Field, FieldRules, Kind, Life, Link, LinkState, MirrorState, Mode,
    System, TAGS, Value, Whole,
};
use crate::reconcile::Drift;
use crate::sandbox::RequestRow;
use crate::store::{Entities, Reports, present};

/// One workspace at the end.
struct Scene<'a> {
    name: &'a str,
    held: Vec<Held>,
    wholes: BTreeMap<EntityId, Whole>,
    conflicts: Vec<(EntityId, Conflict)>,
    typed: Vec<&'a Typed>,
    /// Entities that wait for a person, with those that hang on them.
    parked: BTreeSet<EntityId>,
}

/// Everything that is broken.
pub async fn judge(stage: &mut Stage) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    broken.extend(all_acknowledged_is_decided(stage).await?);
    let state = lock(&stage.world).sandbox.state();
    let made_by_us: BTreeSet<String> = {
        let world = lock(&stage.world);
        world.writes().filter_map(made).map(str::to_owned).collect()
    };
    let (mut conflicts, mut inherited) = (Vec::new(), BTreeSet::new());
    for workspace in 0..stage.settings.workspaces.len() {
        let scene = scene(stage, workspace, &state).await?;
        broken.extend(scene.every_object_is_linked());
        broken.extend(scene.all_agree());
        broken.extend(scene.nobody_is_doubled(&made_by_us));
        broken.extend(scene.nothing_typed_is_lost(&lock(&stage.world), &stage.hands));
        broken.extend(scene.deleted_stays_deleted(&made_by_us));
        broken.extend(scene.time_decides_rightly(stage));
        broken.extend(scene.nothing_unseen_was_deleted(&lock(&stage.world)));
        inherited.extend(scene.inherited());
        broken.extend(scene.reconciling_found_nothing_that_was_told(stage));
        let mut world = lock(&stage.world);
        for (_, conflict) in &scene.conflicts {
            world.count(format!("conflict/{}", conflict.rule));
        }
        *world.counts.entry("entities/parked".into()).or_default() += scene.parked.len() as u64;
        *world.counts.entry("entities/all".into()).or_default() += scene.wholes.len() as u64;
        conflicts.extend(scene.conflicts.into_iter().map(|(_, conflict)| conflict));
    }
    broken.extend(shadow_writes_nothing(stage));
    broken.extend(writes_are_bounded(stage, conflicts.len() as u64));
    broken.extend(repeats::judge(stage, &conflicts));
    broken.extend(rates::judge(stage, &inherited));
    calls::count(stage);
    count(stage).await?;
    if broken.is_empty() {
        broken.extend(a_second_reconcile_finds_nothing(stage).await?);
    }
    Ok(broken)
}

async fn scene<'a>(stage: &'a Stage, workspace: usize, state: &serde_json::Value) -> Result<Scene<'a>> {
    let account = &stage.settings.workspaces[workspace];
    let mut wholes = BTreeMap::new();
    let ids = stage.store.every(&account.name).await;
    for id in ids {
        if let Some(whole) = stage.store.whole(id).await? {
            wholes.insert(id, whole);
        }
    }
    let held = |link: &Link| link.snapshot.values().any(|known| known.hold.is_some());
    let undecided = |whole: &&Whole| waits(whole) || whole.links.iter().any(held);
    let mut parked: BTreeSet<EntityId> = wholes.values().filter(undecided).map(|whole| whole.entity.id).collect();
    let hangs = |whole: &&Whole| whole.entity.parent.is_some_and(|parent| parked.contains(&parent));
    let hanging: Vec<EntityId> = wholes.values().filter(hangs).map(|whole| whole.entity.id).collect();
    parked.extend(hanging);
    Ok(Scene {
        name: &account.name,
        held: view::held(state, account),
        conflicts: stage.store.conflicts(&account.name, None).await?,
        typed: stage.typed.iter().filter(|typed| typed.workspace == workspace).collect(),
        wholes,
        parked,
    })
}

/// The object that a write made. What names it was about one that stood there already: a tag call is a POST too.
fn made(row: &RequestRow) -> Option<&str> {
    row.id.as_deref().filter(|id| row.method == "POST" && !row.path.contains(id))
}

fn within(body: &[u8], id: &[u8]) -> bool {
    body.windows(id.len().max(1)).any(|part| part == id)
}

/// Whether something of it waits for a person, or for its contact.
fn waits(whole: &Whole) -> bool {
    let waits = |state| matches!(state, MirrorState::Parked | MirrorState::Held | MirrorState::Waiting);
    whole.mirrors.iter().any(|mirror| waits(mirror.state))
}

impl Scene<'_> {
    fn entity_of(&self, system: System, kind: Kind, id: &str) -> Option<&Whole> {
        let id = ExternalId::new(id);
        let is_it = |whole: &&Whole| {
            whole.entity.kind == kind
                && whole.links.iter().any(|link| link.system == system && link.id == id && link.is_live())
        };
        self.wholes.values().find(is_it)
    }

    fn object_of(&self, whole: &Whole, system: System) -> Option<&Held> {
        let link = whole.link(system).filter(|link| link.is_live())?;
        let is_it =
            |held: &&Held| (held.system, held.kind) == (system, whole.entity.kind) && held.id == link.id.as_str();
        self.held.iter().find(is_it)
    }

    /// Invariant 2: what a webhook told was acted upon, and is not left to a reconcile to be found.
    fn reconciling_found_nothing_that_was_told(&self, stage: &Stage) -> Vec<String> {
        let world = lock(&stage.world);
        let told = |drift: &&Drift| {
            let about = |parcel: &&Parcel| {
                parcel.from.system == drift.system && within(&parcel.body, drift.object.as_str().as_bytes())
            };
            // What is found elsewhere is brought here meanwhile.
            let is_it = |row: &&RequestRow| row.id.as_deref() == Some(drift.object.as_str());
            if world.writes().filter(is_it).any(|row| row.number >= stage.reconciled_from) {
                return false;
            }
            let mut parcels = world.parcels.iter().filter(about).peekable();
            parcels.peek().is_some() && parcels.all(|parcel| parcel.acknowledged)
        };
        let undecided = |drift: &&Drift| {
            let whole = self.entity_of(drift.system, drift.kind, drift.object.as_str());
            whole.is_none_or(|whole| self.parked.contains(&whole.entity.id))
        };
        let ours = stage.reports.iter().filter(|report| report.workspace == self.name);
        let drifted = ours.flat_map(|report| &report.drift).filter(|drift| drift.what == "drifted");
        let seems_old =
            |drift: &Drift| stage.hands.clock_set_beside(drift.object.as_str(), stand_in(drift.system, drift.kind));
        let is_amiss = |drift: &&Drift| !undecided(drift) && told(drift) && !seems_old(drift);
        let contacts = drifted.filter(|drift| drift.kind == Kind::Contact).filter(is_amiss);
        contacts.map(|drift| format!("2: {} was told, and only a reconcile found it: {drift:?}", self.name)).collect()
    }

    /// Those that others were merged into.
    fn heirs(&self) -> BTreeSet<EntityId> {
        let heir = |whole: &Whole| if let Life::Merged(heir) = whole.entity.life { Some(heir) } else { None };
        self.wholes.values().filter_map(heir).collect()
    }

    /// Their objects: some belonged to the others before.
    fn inherited(&self) -> impl Iterator<Item = (System, String)> {
        let heirs = self.heirs().into_iter().filter_map(|heir| self.wholes.get(&heir));
        heirs.flat_map(|heir| heir.links.iter().map(|link| (link.system, link.id.to_string())))
    }

    /// Invariants 1 and 4: what stands somewhere is known.
    fn every_object_is_linked(&self) -> Vec<String> {
        let is_known = |held: &&Held| {
            let is_it = |whole: &Whole| {
                let link = |link: &Link| link.system == held.system && link.id.as_str() == held.id;
                whole.entity.kind == held.kind && whole.links.iter().any(link)
            };
            self.wholes.values().any(is_it)
        };
        let unlinked = self.held.iter().filter(|held| !is_known(held));
        unlinked.map(|held| format!("1: {} {held:?} is linked with nothing", self.name)).collect()
    }

    /// Invariant 1: what is linked says the same everywhere, and is everywhere.
    fn all_agree(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let judged =
            self.wholes.values().filter(|whole| whole.entity.is_live() && !self.parked.contains(&whole.entity.id));
        for whole in judged {
            let objects: Vec<&Held> = System::ALL.iter().filter_map(|system| self.object_of(whole, *system)).collect();
            for pair in objects.windows(2).filter(|pair| pair[0].fields != pair[1].fields) {
                broken.push(format!("1: {} {} differs: {:?}", self.name, whole.entity.id, pair));
            }
            broken.extend(System::ALL.iter().filter(|system| self.is_missing(whole, **system)).map(|system| {
                format!("1: {} {} {} is not in {system}", self.name, whole.entity.kind, whole.entity.id)
            }));
        }
        broken
    }

    /// Whether an entity should be in a system and is not.
    fn is_missing(&self, whole: &Whole, system: System) -> bool {
        let entity = &whole.entity;
        let tombstone =
            |whole: &Whole| whole.links.iter().any(|link| link.system == system && link.state == LinkState::Gone);
        let parent = entity.parent.and_then(|parent| self.wholes.get(&parent));
        let cancelled = entity.value(&Field::STATUS).as_text() == Some(CANCELLED);
        let made = match entity.kind {
            Kind::Contact => true,
            Kind::Task | Kind::Note => parent.is_some_and(|parent| parent.link(system).is_some()),
            // Only guests book in TimeRex; and what is cancelled does not exist.
            Kind::Appointment => {
                system != System::Timerex && !cancelled && parent.is_some_and(|parent| parent.link(system).is_some())
            }
        };
        made && !tombstone(whole) && !entity.is_placeholder() && self.object_of(whole, system).is_none()
    }

    /// Invariant 4: of one person no more than one contact in a system was made by us.
    fn nobody_is_doubled(&self, made_by_us: &BTreeSet<String>) -> Vec<String> {
        let mut counts: BTreeMap<(System, &str), usize> = BTreeMap::new();
        let ours = |held: &&Held| held.kind == Kind::Contact && made_by_us.contains(&held.id);
        for held in self.held.iter().filter(ours) {
            if let Some(email) = held.fields.get("email") {
                *counts.entry((held.system, email)).or_default() += 1;
            }
        }
        let doubled = counts.into_iter().filter(|(_, count)| *count > 1);
        doubled.map(|((system, email), count)| format!("4: {} {system} got {email} {count} times", self.name)).collect()
    }

    /// Invariants 2, 5, 8, 9: what a person typed in and we have seen is true now, or was replaced where it was typed in, or is
    /// kept as a conflict.
    fn nothing_typed_is_lost(&self, world: &World, hands: &Hands) -> Vec<String> {
        let mut broken = Vec::new();
        let kept = self.kept();
        // What was typed over a write of ours was typed over what that took away.
        let came_between = |typed: &Typed| world.written.came_between(&typed.id, typed.token);
        let replaced = |typed: &Typed| {
            typed.replaced || (came_between(typed) && self.typed_later(typed)) || self.is_swapped(typed, hands)
        };
        for typed in self.typed.iter().filter(|typed| world.seen.saw(&typed.id, typed.token) && !replaced(typed)) {
            let Some(whole) = self.entity_of(typed.system, typed.kind, &typed.id) else { continue };
            if self.parked.contains(&whole.entity.id) || !whole.entity.is_live() {
                continue;
            }
            // A rule may have put it together with others.
            let text = text_of(&typed.field, whole.entity.value(&typed.field)).unwrap_or_default();
            let is_true = if typed.value.is_empty() { text.is_empty() } else { text.contains(&typed.value) };
            // What was set back stood in the other systems all the while: who replaced it there had it before them.
            let is_replaced =
                edits(whole.entity.value(&typed.field)).into_iter().any(|edit| hands.saw(edit, typed.token));
            if !is_true && !is_replaced && !kept.contains(typed.value.as_str()) {
                broken.push(format!("2: {} {typed:?} is gone: {:?}", self.name, whole.entity.value(&typed.field)));
            }
        }
        broken
    }

    /// Whether the same field of the same object was typed into after that.
    fn typed_later(&self, one: &Typed) -> bool {
        self.typed_into(one).any(|typed| typed.at > one.at)
    }

    /// Whether it was typed over another one while the vendor's clock was set: the older of the two may bear the later date, and
    /// then nobody can tell that it does not stand, but who looks.
    fn is_swapped(&self, one: &Typed, hands: &Hands) -> bool {
        let while_set = |typed: &Typed| hands.clocks_set(stand_in(typed.system, typed.kind), typed.at) > 0;
        while_set(one) && self.typed_into(one).any(|typed| typed.at < one.at && while_set(typed))
    }

    /// What was typed into the same field of the same object.
    fn typed_into<'t>(&'t self, one: &'t Typed) -> impl Iterator<Item = &'t Typed> {
        let same = |typed: &&&Typed| typed.id == one.id && typed.field == one.field;
        self.typed.iter().filter(same).copied()
    }

    /// R1, R2, R7.
    fn time_decides_rightly(&self, stage: &Stage) -> Vec<String> {
        let late = lock(&stage.world).written.unheard().map(|(_, edit, _)| edit).collect();
        let judged = self.conflicts.iter().filter_map(|(_, one)| Some((one, stage.hands.judge(one, &late)?)));
        let mut broken: Vec<String> = judged.map(|(one, why)| format!("5: {} {one:?}: {why}", self.name)).collect();
        let mut written = BTreeMap::new();
        for row in lock(&stage.world).writes() {
            written.extend(row.id.clone().map(|id| (id, row.at)));
        }
        let heirs = self.heirs();
        for entry in stage.config.workspaces.iter().filter(|entry| entry.name == self.name) {
            let rules = &entry.policy.rules;
            // What stays where two became one is dated after what gave way.
            let alone = self.wholes.values().filter(|whole| !heirs.contains(&whole.entity.id));
            let late = alone.flat_map(|whole| stage.hands.dated_late(whole, &written, rules));
            broken.extend(late.map(|what| format!("5: {} {what}", self.name)));
        }
        broken
    }

    /// What lost and is kept as a conflict.
    fn kept(&self) -> BTreeSet<&str> {
        self.conflicts.iter().filter_map(|(_, conflict)| text_of(&conflict.field, &conflict.lost)).collect()
    }

    /// R10.
    fn nothing_unseen_was_deleted(&self, world: &World) -> Vec<String> {
        let facts =
            Facts { wholes: self.wholes.values().collect(), typed: &self.typed, kept: self.kept(), seen: &world.seen };
        world.gone.judge(&facts).into_iter().map(|what| format!("10: {} {what}", self.name)).collect()
    }

    /// Invariant 7.
    fn deleted_stays_deleted(&self, made_by_us: &BTreeSet<String>) -> Vec<String> {
        let mut broken = Vec::new();
        for whole in self.wholes.values() {
            let gone = |link: &&Link| link.state == LinkState::Gone;
            for dead in whole.links.iter().filter(gone) {
                let again = whole.link(dead.system).filter(|link| made_by_us.contains(link.id.as_str()));
                // It may have been made before the other one was found gone.
                if again.is_some_and(|link| link.seen > dead.seen) {
                    broken.push(format!("7: {} {} was made in {} again", self.name, whole.entity.id, dead.system));
                }
            }
        }
        for whole in self.wholes.values().filter(|whole| !self.parked.contains(&whole.entity.id)) {
            if matches!(whole.entity.life, Life::Deleted(_)) && whole.links.iter().any(Link::is_live) {
                broken.push(format!("7: {} {} is deleted and stands somewhere", self.name, whole.entity.id));
            }
            for system in System::ALL {
                let live = whole.links.iter().filter(|link| link.system == *system && link.is_live()).count();
                if live > 1 {
                    broken.push(format!("4: {} {} has {live} links in {system}", self.name, whole.entity.id));
                }
            }
        }
        broken
    }
}

/// Invariant 2: each webhook that was acknowledged is a change, and each change was decided.
async fn all_acknowledged_is_decided(stage: &Stage) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    let said = stage.store.said_by_webhooks().await;
    {
        let world = lock(&stage.world);
        let lost = world.parcels.iter().filter(|parcel| parcel.acknowledged && !said.contains(&parcel.id));
        // Only GHL and the extensions send an id by which a change can be told.
        let tells =
            |parcel: &&Parcel| !parcel.id.is_empty() && (parcel.from.extension || parcel.from.system == System::Ghl);
        let lost = lost.filter(tells);
        broken
            .extend(lost.map(|parcel| format!("2: {:?} {} was acknowledged and is not kept", parcel.from, parcel.id)));
    }
    for one in &stage.settings.workspaces {
        let forgotten = stage.store.forgotten(&one.name).await;
        broken.extend(
            forgotten.into_iter().map(|id| format!("2: {} change {id} waits for a read that nobody makes", one.name)),
        );
    }
    Ok(broken)
}

/// What a value says in text: a tag says its name.
fn text_of<'a>(field: &'a Field, value: &'a Value) -> Option<&'a str> {
    match field.as_tag() {
        Some(tag) => (*value == Value::Flag(true)).then_some(tag),
        None => value.as_text(),
    }
}

/// Invariant 14.
fn shadow_writes_nothing(stage: &Stage) -> Vec<String> {
    let mut broken = Vec::new();
    for (entry, account) in stage.config.workspaces.iter().zip(&stage.settings.workspaces) {
        if entry.mode != Some(Mode::Shadow) {
            continue;
        }
        let world = lock(&stage.world);
        let ours = |row: &&RequestRow| owns(account, row.account.as_deref());
        broken.extend(world.writes().filter(ours).map(|row| format!("14: {row:?}")));
    }
    broken
}

/// Invariant 3: so many writes for so many edits.
fn writes_are_bounded(stage: &Stage, conflicts: u64) -> Option<String> {
    let world = lock(&stage.world);
    let writes = world.writes().count() as u64;
    let (unclear, deeds) = (world.unclear, stage.deeds.values().sum::<usize>() as u64);
    let most = deeds * 6 + conflicts + unclear;
    let told = || format!("3: {writes} writes for {deeds} deeds, {conflicts} conflicts, {unclear} unclear");
    (writes > most).then(told)
}

/// Invariants 3 and 6: reconciling again finds nothing and writes nothing.
async fn a_second_reconcile_finds_nothing(stage: &mut Stage) -> Result<Vec<String>> {
    let writes = |stage: &Stage| lock(&stage.world).writes().count();
    let before = writes(stage);
    // Lists that lag behind have caught up.
    stage.pass(std::time::Duration::from_mins(5));
    if let Err(restless) = stage.reconcile_all().await {
        return Ok(vec![restless.to_string()]);
    }
    let mut broken = Vec::new();
    let after = writes(stage);
    if after != before {
        broken.push(format!("3: {} writes in quiet workspaces", after - before));
    }
    for report in &stage.reports {
        let name = &report.workspace;
        let failed = report.listings.iter().filter_map(|one| one.error.as_ref());
        broken.extend(failed.map(|error| format!("6: {name} cannot be listed: {error}")));
        for drift in &report.drift {
            let link = stage.store.link(name, drift.system, drift.kind, &drift.object).await?;
            let whole = match link {
                Some(link) => present(&stage.store, link.entity).await?,
                None => None,
            };
            if !whole.is_some_and(|whole| waits(&whole)) {
                broken.push(format!("6: a second reconcile found {name}: {drift:?}"));
            }
        }
    }
    Ok(broken)
}

/// How often each verdict and outcome occurred.
async fn count(stage: &Stage) -> Result<()> {
    for entry in &stage.config.workspaces {
        let mut world = lock(&stage.world);
        let policy = &entry.policy;
        world.count(format!("policy/read_before_write/{}", policy.read_before_write));
        world.count(format!("policy/mode/{}", entry.mode.unwrap_or(Mode::Shadow)));
        for (kind, rule) in &policy.on_delete {
            world.count(format!("policy/on_delete/{kind}/{rule}"));
        }
        let fields = Kind::ALL.iter().flat_map(|kind| FieldRules::names(*kind).map(|name| (*kind, name)));
        for (kind, name) in fields {
            // All tags have one rule.
            let field = if name == TAGS { Some(Field::tag("any")) } else { Field::parse(name) };
            let Some(field) = field else { continue };
            world.count(format!("policy/rule/{}", policy.rules.of(kind, &field)));
        }
    }
    let outcomes = stage.store.all_outcomes().await;
    for (outcome, count) in outcomes {
        *lock(&stage.world).counts.entry(format!("outcome/{outcome}")).or_default() += count;
    }
    for one in &stage.settings.workspaces {
        for (finding, count) in stage.store.findings(&one.name).await? {
            *lock(&stage.world).counts.entry(format!("verdict/{finding}")).or_default() += count;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::StandIn;

    fn post(path: &str) -> RequestRow {
        RequestRow {
            number: 0,
            at: crate::clock::Millis(0),
            stand_in: StandIn { system: System::Ghl, extension: false },
            method: "POST".to_owned(),
            path: path.to_owned(),
            status: Some(201),
            write: true,
            kind: Some("contact"),
            id: Some("UaTo6pOh".to_owned()),
            account: None,
            body_sha256: String::new(),
            fault: None,
        }
    }

    #[test]
    fn who_tags_a_contact_that_a_person_made_did_not_make_it() {
        assert_eq!(made(&post("/contacts/")), Some("UaTo6pOh"));
        assert_eq!(made(&post("/contacts/UaTo6pOh/tags")), None);
    }
}
