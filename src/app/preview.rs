//! Previews: what a workspace in shadow mode would write, and the confirmation that lets it.
//!
//! A preview has a code made of all that it lists. Going live names the code; if anything has changed since, it is refused,
//! so that nothing is written that no preview has shown.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::Running;
use crate::model::{
    Action, ConflictId, ConflictState, EntityId, ExternalId, Field, Kind, LINKING, Mirror, MirrorState, Mode, System,
};
use crate::resolve::{DELETED, EDITED};
use crate::secret::digest;
use crate::store::{Settled, Settlement, Sought, StoreError};

/// How much a preview lists at most.
const MOST: u32 = 1_000_000;
/// Mirrors released in one transaction.
const BATCH: usize = 200;

/// What would be written.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// The workspace.
    pub workspace: String,
    /// What to say back to let it be written.
    pub code: String,
    /// Work that is still being looked at; with any, the preview is not complete.
    pub unfinished: u64,
    /// The calls.
    pub calls: Vec<Previewed>,
    /// What was linked with an entity that was there before, and which values lose by it; one row a link. The values stand in
    /// `lockstep conflicts`.
    pub linked: Vec<Linked>,
    /// What cannot be told: it is not written anywhere before a person says who is who.
    pub ambiguous: Vec<Ambiguous>,
}

/// One object that was linked, and the fields in which something lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Linked {
    /// Our entity.
    pub entity: EntityId,
    /// The system of the object.
    pub system: System,
    /// The object.
    pub object: Option<ExternalId>,
    /// The number of the report in `lockstep conflicts`.
    pub report: ConflictId,
    /// The fields.
    pub fields: Vec<Field>,
}

/// An entity of which it cannot be told who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ambiguous {
    /// Our entity.
    pub entity: EntityId,
    /// Why, and what to say.
    pub text: String,
}

/// One object in one system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Previewed {
    /// The system that would be written to.
    pub system: System,
    /// What it is.
    pub kind: Kind,
    /// Our entity.
    #[serde(serialize_with = "as_text")]
    pub entity: EntityId,
    /// What would be done.
    pub what: String,
    /// Stands for the values that would be written, which the preview does not show.
    #[serde(skip)]
    values: [u8; 32],
}

fn as_text<S: serde::Serializer>(entity: &EntityId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(entity)
}

/// Why a workspace cannot go live.
#[derive(Debug, thiserror::Error)]
pub enum NotLive {
    /// There is no such workspace.
    #[error("there is no workspace `{0}`")]
    Unknown(String),
    /// The preview is another by now.
    #[error("the preview has changed; look at it again and confirm its new code")]
    Changed,
    /// Not everything has been looked at.
    #[error("{0} changes and reads are still under way; look at the preview when they are done")]
    Unfinished(u64),
    /// Another process works the workspace.
    #[error("another process holds the lease on the workspace")]
    Elsewhere,
    /// It asks for an answer.
    #[error("`{0}` is a question: answer it with `lockstep deletion`: `delete`, `keep` or `remake`")]
    Asks(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Running {
    /// What a workspace in shadow mode would write.
    pub async fn preview(&self, workspace: &str) -> Result<Preview, NotLive> {
        if !self.serves(workspace) {
            return Err(NotLive::Unknown(workspace.to_owned()));
        }
        let load = self.store.load(workspace).await?;
        let mut calls = Vec::new();
        for mirror in self.store.in_state(workspace, MirrorState::Held, MOST).await? {
            let Some(what) = mirror.reason.as_deref().and_then(|reason| reason.strip_prefix(SHADOW)) else { continue };
            let Some(whole) = self.store.whole(mirror.entity).await? else { continue };
            let (system, kind, entity) = (mirror.system, whole.entity.kind, mirror.entity);
            let values = digest(&serde_json::to_vec(&whole.entity.fields).unwrap_or_default());
            calls.push(Previewed { system, kind, entity, what: what.to_owned(), values });
        }
        calls.sort();
        let code = code(&calls);
        let (linked, ambiguous) = (self.linked(workspace).await?, self.ambiguous(workspace).await?);
        let unfinished = load.undecided + load.due;
        Ok(Preview { workspace: workspace.to_owned(), code, unfinished, calls, linked, ambiguous })
    }

    /// The linking reports that nobody has closed.
    async fn linked(&self, workspace: &str) -> Result<Vec<Linked>, NotLive> {
        let state = Some(ConflictState::Open);
        let wanted = Sought { workspace: Some(workspace.to_owned()), state, ..Sought::default() };
        let mut reports: BTreeMap<ConflictId, Linked> = BTreeMap::new();
        for one in self.store.kept(&wanted, ConflictId(0), MOST).await? {
            let conflict = one.told.conflict;
            if conflict.rule != LINKING {
                continue;
            }
            let (entity, system, object) = (one.told.entity, conflict.system, one.told.proof.object);
            let new = || Linked { entity, system, object, report: one.report, fields: Vec::new() };
            reports.entry(one.report).or_insert_with(new).fields.push(conflict.field);
        }
        Ok(reports.into_values().collect())
    }

    async fn ambiguous(&self, workspace: &str) -> Result<Vec<Ambiguous>, NotLive> {
        let open = self.store.reviews(workspace).await?.into_iter();
        let asked = open.filter(|review| review.subject.starts_with("ambiguous/"));
        Ok(asked.filter_map(|review| Some(Ambiguous { entity: review.entity?, text: review.text })).collect())
    }

    /// Lets a workspace write what its preview showed.
    pub async fn go_live(&self, workspace: &str, code: &str) -> Result<usize, NotLive> {
        let preview = self.preview(workspace).await?;
        if preview.unfinished > 0 {
            return Err(NotLive::Unfinished(preview.unfinished));
        }
        if preview.code != code {
            return Err(NotLive::Changed);
        }
        let now = self.clock.now();
        for system in System::ALL {
            let creates = |call: &&Previewed| call.system == *system && call.what.starts_with(Action::Create.word());
            let count = preview.calls.iter().filter(creates).count();
            crate::mirror::allow(self.store.as_ref(), workspace, *system, Action::Create, count, now).await?;
        }
        self.store.set_mode(workspace, Mode::Live, now).await?;
        self.wake();
        self.release(workspace, |mirror| mirror.reason.as_deref().is_some_and(|why| why.starts_with(SHADOW))).await?;
        Ok(preview.calls.len())
    }

    /// Approves what waits for a person. Of what the brake holds, these may go in the next hour and no others.
    pub async fn approve(&self, workspace: &str, subject: &str) -> Result<usize, NotLive> {
        if !self.serves(workspace) {
            return Err(NotLive::Unknown(workspace.to_owned()));
        }
        if [DELETED, EDITED].iter().any(|word| subject.starts_with(word)) {
            return Err(NotLive::Asks(subject.to_owned()));
        }
        let now = self.clock.now();
        let mut parts = subject.split('/');
        if let (Some("brake"), Some(system), Some(action)) = (parts.next(), parts.next(), parts.next())
            && let (Ok(system), Ok(action)) = (system.parse(), action.parse())
        {
            let held = self.store.in_state(workspace, MirrorState::Held, MOST).await?;
            let these = held.iter().filter(|mirror| names(mirror, subject)).map(|mirror| mirror.entity);
            crate::mirror::approve(self.store.as_ref(), workspace, system, action, these, now).await?;
        }
        if subject.starts_with("fuse/") {
            crate::mirror::mend(self.store.as_ref(), workspace, subject, now).await?;
        }
        let released = self.release(workspace, |mirror| names(mirror, subject)).await?;
        self.store.close_review(workspace, subject, now).await?;
        Ok(released)
    }

    /// Makes held and parked mirrors due again.
    pub(super) async fn release(&self, workspace: &str, wanted: impl Fn(&Mirror) -> bool) -> Result<usize, NotLive> {
        let lease = self.holder.lease(workspace).ok_or(NotLive::Elsewhere)?;
        let mut mirrors = self.store.in_state(workspace, MirrorState::Held, MOST).await?;
        mirrors.extend(self.store.in_state(workspace, MirrorState::Parked, MOST).await?);
        mirrors.retain(wanted);
        let now = self.clock.now();
        for batch in mirrors.chunks(BATCH) {
            let mut settlement = Settlement::new(lease.clone(), now);
            for mirror in batch {
                let mut mirror = mirror.clone();
                crate::mirror::spread::make_due(&mut mirror, now, now);
                settlement.mirrors.push(mirror);
            }
            if self.stages.lanes.settling.settle(&settlement).await? != Settled::Done {
                return Err(NotLive::Changed);
            }
        }
        self.wake();
        Ok(mirrors.len())
    }
}

/// How the reason of a mirror that shadow mode holds begins.
const SHADOW: &str = crate::mirror::SHADOW;

fn names(mirror: &Mirror, subject: &str) -> bool {
    mirror.reason.as_deref().is_some_and(|reason| reason.contains(&format!("`{subject}`")))
        || subject == format!("parked/{}/{}", mirror.entity, mirror.system)
        || subject == format!("fuse/{}/{}", mirror.entity, mirror.system)
        || ["ambiguous", "merged"].iter().any(|word| subject == format!("{word}/{}", mirror.entity))
}

/// A short text that only this list of calls has.
fn code(calls: &[Previewed]) -> String {
    let mut text = String::new();
    for call in calls {
        // Writing to a String cannot fail.
        let values = hex::encode(call.values);
        let _ = writeln!(text, "{} {} {} {} {values}", call.system, call.kind, call.entity, call.what);
    }
    hex::encode(&digest(text.as_bytes())[..6])
}
