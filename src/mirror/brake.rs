//! What holds a write back: shadow mode, a scope that was not granted, an account that is not connected, the fuse and the
//! brake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::lane::{Hold, Lane};
use crate::clock::Millis;
use crate::model::{Action, EntityId, MirrorState, Step, System};
use crate::resolve::Case;
use crate::store::{Result, Workspaces};
use crate::systems::SystemError;

/// How the reason of a mirror begins that shadow mode holds.
pub const SHADOW: &str = "shadow: would ";
/// How the reason of a mirror begins that waits for a scope.
pub const NOT_GRANTED: &str = "not granted: ";
/// How the reason of a mirror begins that waits for its account to be connected.
pub const NOT_CONNECTED: &str = "not connected: ";
/// How the subject of a review begins that tells of a missing scope; the system and the scope follow.
pub const GRANT: &str = "grant/";
/// How the subject of a review begins that tells of an account that is not connected; the system follows.
pub const CONNECT: &str = "connect/";
/// The window of the fuse.
const FUSE: Duration = Duration::from_mins(10);
/// The window of the brake.
const BRAKE: Duration = Duration::from_hours(1);

/// How long a call waits for others that may use up what the brake lets pass.
pub(super) const TURN: Duration = Duration::from_millis(50);

type Braked = (String, System, Action);

/// Creates and deletes that are being made: no row tells of them yet, and side by side they must not pass the brake.
#[derive(Debug, Default)]
pub struct UnderWay(Mutex<BTreeMap<Braked, u32>>);

impl UnderWay {
    /// Counts one more; gives how many there are with it.
    fn enter(&self, braked: Braked) -> (Permit<'_>, u32) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(braked.clone()).or_default();
        *count += 1;
        (Permit { under_way: self, braked }, *count)
    }
}

/// Held until the call is settled.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    under_way: &'a UnderWay,
    braked: Braked,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut counts = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.braked) {
            *count -= 1;
        }
    }
}

/// Whether a write may be made now.
pub(super) enum May<'a> {
    /// Yes. A create or delete holds its permit until it is settled.
    Write(Option<Permit<'a>>),
    /// It turns out when calls that are being made have ended.
    Wait,
    /// No.
    Not(Hold),
}

impl<'a> Lane<'a> {
    /// Whether a write may be made now.
    pub(super) async fn may_write(&self, case: &Case, step: &Step) -> Result<May<'a>> {
        let limits = &self.site.workspace.policy.limits;
        let (now, entity, system) = (self.lanes.clock.now(), case.whole.entity.id, self.system);
        let mut writes = self.lanes.mirrors.writes_since(entity, system, now - FUSE).await?.len();
        let fuse = limits.fuse as usize;
        if writes >= fuse
            && let Some(mended) = mended(self.lanes.workspaces.as_ref(), case, system).await?
        {
            writes = self.lanes.mirrors.writes_since(entity, system, mended.max(now - FUSE)).await?.len();
        }
        if writes >= fuse {
            let reason = format!("fuse: {writes} writes to {system} in ten minutes; look for what keeps changing it");
            let subject = Some(format!("fuse/{entity}/{system}"));
            return Ok(May::Not(Hold { state: MirrorState::Parked, reason, subject }));
        }
        let limit = match step.action {
            Action::Create => limits.creates_per_hour,
            Action::Delete | Action::Cancel => limits.deletes_per_hour,
            _ => return Ok(May::Write(None)),
        };
        let workspace = &self.site.workspace.name;
        // Entered before counting: whoever leaves in between is counted twice, never missed.
        let (permit, under_way) = self.lanes.under_way.enter((workspace.clone(), system, step.action));
        let made = self.lanes.mirrors.actions_since(workspace, system, step.action, now - BRAKE).await?;
        let mut limit = u64::from(limit);
        if u64::from(made + under_way) > limit {
            limit += allowance(self.lanes.workspaces.as_ref(), workspace, system, step.action, now).await?;
        }
        let over = u64::from(made + under_way) > limit;
        if !over
            || approved(self.lanes.workspaces.as_ref(), workspace, system, step.action, now).await?.contains(&entity)
        {
            return Ok(May::Write(Some(permit)));
        }
        if u64::from(made) < limit {
            return Ok(May::Wait);
        }
        let subject = format!("brake/{system}/{}", step.action);
        let reason =
            format!("brake: {made} {} calls to {system} in an hour; approve `{subject}` to go on", step.action);
        Ok(May::Not(Hold { state: MirrorState::Held, reason, subject: Some(subject) }))
    }
}

/// The hold of shadow mode: what would be written.
pub(super) fn shadow(steps: &[Step]) -> Hold {
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    Hold { state: MirrorState::Held, reason: format!("{SHADOW}{}", steps.join("; ")), subject: None }
}

/// The hold of what the owner of the account did not grant. It ends by itself when they do.
pub(super) fn ungranted(system: System, scope: &str) -> Hold {
    let subject = format!("{GRANT}{system}/{scope}");
    let reason = format!(
        "{NOT_GRANTED}{system} gave us no `{scope}`, so nothing is written that needs it; connect again with this scope \
         (`{subject}`)"
    );
    Hold { state: MirrorState::Held, reason, subject: Some(subject) }
}

/// The hold of what cannot be told to an account that is not connected. It ends by itself when that is.
pub(super) fn unconnected(system: System, error: &SystemError) -> Hold {
    let subject = format!("{CONNECT}{system}");
    Hold { state: MirrorState::Held, reason: format!("{NOT_CONNECTED}{error} (`{subject}`)"), subject: Some(subject) }
}

/// Lets a fuse that blew count anew: somebody has looked into it.
pub async fn mend(rows: &dyn Workspaces, workspace: &str, subject: &str, now: Millis) -> Result<()> {
    rows.set_cursor(workspace, subject, &now.0.to_string(), now).await
}

async fn mended(rows: &dyn Workspaces, case: &Case, system: System) -> Result<Option<Millis>> {
    let entity = &case.whole.entity;
    let text = rows.cursor(&entity.workspace, &format!("fuse/{}/{system}", entity.id)).await?;
    Ok(text.and_then(|text| text.parse().ok()).map(Millis))
}

/// Lets the brake pass `extra` calls more than its limit in the coming hour: somebody has seen and approved them.
pub async fn allow(
    rows: &dyn Workspaces,
    workspace: &str,
    system: System,
    action: Action,
    extra: usize,
    now: Millis,
) -> Result<()> {
    let standing = allowance(rows, workspace, system, action, now).await?;
    let text = format!("{}:{}", (now + BRAKE).0, standing + extra as u64);
    rows.set_cursor(workspace, &name(system, action), &text, now).await
}

/// Lets the brake pass these in the coming hour, and no others: somebody has seen and approved them.
pub async fn approve(
    rows: &dyn Workspaces,
    workspace: &str,
    system: System,
    action: Action,
    these: impl IntoIterator<Item = EntityId>,
    now: Millis,
) -> Result<()> {
    let mut all = approved(rows, workspace, system, action, now).await?;
    all.extend(these);
    let ids: Vec<String> = all.iter().map(ToString::to_string).collect();
    let text = format!("{}:{}", (now + BRAKE).0, ids.join(","));
    rows.set_cursor(workspace, &format!("approved/{system}/{action}"), &text, now).await
}

async fn approved(
    rows: &dyn Workspaces,
    workspace: &str,
    system: System,
    action: Action,
    now: Millis,
) -> Result<BTreeSet<EntityId>> {
    let text = rows.cursor(workspace, &format!("approved/{system}/{action}")).await?.unwrap_or_default();
    let Some((until, ids)) = text.split_once(':') else { return Ok(BTreeSet::new()) };
    let stands = until.parse().is_ok_and(|until| now < Millis(until));
    Ok(ids.split(',').filter(|_| stands).filter_map(|id| id.parse().ok()).collect())
}

async fn allowance(rows: &dyn Workspaces, workspace: &str, system: System, action: Action, now: Millis) -> Result<u64> {
    let text = rows.cursor(workspace, &name(system, action)).await?.unwrap_or_default();
    let parts = text.split_once(':').and_then(|(until, extra)| Some((until.parse().ok()?, extra.parse().ok()?)));
    let standing = |(until, extra): (i64, u64)| if now < Millis(until) { extra } else { 0 };
    Ok(parts.map_or(0, standing))
}

fn name(system: System, action: Action) -> String {
    format!("allowance/{system}/{action}")
}
