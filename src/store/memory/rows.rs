//! Entities, mirrors, leases, workspaces, credentials and installs.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::{Memory, Tables};
use crate::clock::Millis;
use crate::model::{
    Action, Entity, EntityId, ExternalId, Install, InstallKey, InstallState, Kind, Lease, Life, Link, Mirror,
    MirrorState, Mode, Origin, Priority, System,
};
use crate::store::{
    Bells, Credentials, Entities, Installs, Keys, Leases, Listening, Load, Mirrors, Outlook, Result, TICKETS, Times,
    Whole, Workspaces,
};

impl Tables {
    fn live(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values().filter(|entity| entity.is_live())
    }

    fn links_of(&self, entity: EntityId) -> impl Iterator<Item = &Link> {
        let keys = self.links_of.get(&entity).into_iter().flatten();
        keys.filter_map(|key| self.links.get(key))
    }
}

#[async_trait]
impl Entities for Memory {
    async fn whole(&self, entity: EntityId) -> Result<Option<Whole>> {
        let tables = self.tables().await;
        let Some(held) = tables.entities.get(&entity).cloned() else { return Ok(None) };
        let mut links: Vec<Link> = tables.links_of(entity).cloned().collect();
        links.sort_by(|one, other| (one.system.word(), &one.id).cmp(&(other.system.word(), &other.id)));
        let mut mirrors: Vec<Mirror> = tables
            .mirrors
            .range((entity, System::ALL[0])..)
            .take_while(|((id, _), _)| *id == entity)
            .map(|(_, one)| one.clone())
            .collect();
        mirrors.sort_by_key(|mirror| mirror.system.word());
        Ok(Some(Whole { entity: held, links, mirrors }))
    }

    async fn link(&self, workspace: &str, system: System, kind: Kind, id: &ExternalId) -> Result<Option<Link>> {
        Ok(self.tables().await.links.get(&(workspace.to_owned(), system, kind, id.clone())).cloned())
    }

    async fn with_keys(&self, workspace: &str, kind: Kind, keys: &Keys) -> Result<Vec<EntityId>> {
        let tables = self.tables().await;
        let shares = |entity: &&Entity| {
            let held = Keys::of(|field| entity.value(field));
            let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
            entity.workspace == workspace
                && entity.kind == kind
                && (same(&held.email, &keys.email) || same(&held.phone, &keys.phone))
        };
        Ok(tables.live().filter(shares).map(|entity| entity.id).collect())
    }

    async fn children(&self, parent: EntityId, kind: Option<Kind>) -> Result<Vec<EntityId>> {
        let tables = self.tables().await;
        let ids = tables.children.get(&parent).into_iter().flatten();
        let fits = |entity: &&Entity| entity.is_live() && kind.is_none_or(|kind| entity.kind == kind);
        Ok(ids.filter_map(|id| tables.entities.get(id)).filter(fits).map(|entity| entity.id).collect())
    }

    async fn remains(&self, parent: EntityId) -> Result<Vec<EntityId>> {
        let tables = self.tables().await;
        let is_deleted = |id: &&EntityId| tables.entities.get(id).is_some_and(|e| matches!(e.life, Life::Deleted(_)));
        let stands = |id: &&EntityId| tables.links_of(**id).any(Link::is_live);
        let ids = tables.children.get(&parent).into_iter().flatten();
        Ok(ids.filter(is_deleted).filter(stands).copied().collect())
    }

    async fn entities(&self, workspace: &str, after: Option<EntityId>, limit: u32) -> Result<Vec<EntityId>> {
        let tables = self.tables().await;
        let later = tables.live().filter(|entity| entity.workspace == workspace && Some(entity.id) > after);
        Ok(later.map(|entity| entity.id).take(limit as usize).collect())
    }

    async fn live_links(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<Link>> {
        let fits =
            |link: &&Link| link.workspace == workspace && (link.system, link.kind) == (system, kind) && link.is_live();
        Ok(self.tables().await.links.values().filter(fits).cloned().collect())
    }

    async fn links_within(&self, workspace: &str, system: System, outer: &ExternalId) -> Result<Vec<Link>> {
        let fits = |link: &&Link| {
            link.workspace == workspace && link.system == system && link.id.within().as_ref() == Some(outer)
        };
        let mut found: Vec<Link> = self.tables().await.links.values().filter(fits).cloned().collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found)
    }

    async fn open_intents(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<EntityId>> {
        let tables = self.tables().await;
        let open = |mirror: &&Mirror| {
            mirror.workspace == workspace
                && mirror.system == system
                && mirror.intent.is_some()
                && tables.entities.get(&mirror.entity).is_some_and(|entity| entity.kind == kind)
        };
        Ok(tables.mirrors.values().filter(open).map(|mirror| mirror.entity).collect())
    }

    async fn apart(&self, _workspace: &str, entity: EntityId) -> Result<BTreeSet<EntityId>> {
        let tables = self.tables().await;
        let other = |(one, other): &(EntityId, EntityId)| match entity {
            entity if entity == *one => Some(*other),
            entity if entity == *other => Some(*one),
            _ => None,
        };
        Ok(tables.apart.iter().filter_map(other).collect())
    }
}

impl Memory {
    /// All entities of a workspace, dead ones too.
    pub async fn every(&self, workspace: &str) -> Vec<EntityId> {
        let tables = self.tables().await;
        tables.entities.values().filter(|one| one.workspace == workspace).map(|one| one.id).collect()
    }
}

#[async_trait]
impl Bells for Memory {
    async fn ring(&self, _workspaces: &[&str]) -> Result<()> {
        Ok(())
    }

    async fn listen(&self) -> Result<Option<Box<dyn Listening>>> {
        Ok(None)
    }
}

#[async_trait]
impl Mirrors for Memory {
    async fn due(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Mirror>> {
        let tables = self.tables().await;
        let due =
            |mirror: &Mirror| mirror.workspace == workspace && mirror.state == MirrorState::Due && mirror.due <= now;
        let is_live = |mirror: &Mirror| mirror.priority == Priority::Live;
        let mut found = tables.mirrors_where(limit, |mirror| due(mirror) && is_live(mirror));
        found.extend(tables.mirrors_where(limit - found.len() as u32, |mirror| due(mirror) && !is_live(mirror)));
        Ok(found)
    }

    async fn in_state(&self, workspace: &str, state: MirrorState, limit: u32) -> Result<Vec<Mirror>> {
        Ok(self.tables().await.mirrors_where(limit, |mirror| mirror.workspace == workspace && mirror.state == state))
    }

    async fn writes_since(&self, entity: EntityId, system: System, since: Millis) -> Result<Vec<Millis>> {
        let tables = self.tables().await;
        let own = tables.attempts_of.get(&(entity, system)).into_iter().flatten().map(|at| &tables.attempts[*at]);
        let mut times: Vec<Millis> =
            own.filter(|one| one.at >= since && one.may_have_written()).map(|one| one.at).collect();
        times.sort_unstable();
        Ok(times)
    }

    async fn actions_since(&self, workspace: &str, system: System, action: Action, since: Millis) -> Result<u32> {
        let tables = self.tables().await;
        let counts = tables.attempts.iter().filter(|one| {
            one.workspace == workspace
                && (one.system, one.action) == (system, action)
                && one.at >= since
                && one.result.may_have_landed()
        });
        Ok(u32::try_from(counts.count()).unwrap_or(u32::MAX))
    }
}

impl Tables {
    /// Mirrors that fit, longest due first.
    fn mirrors_where(&self, limit: u32, fits: impl Fn(&Mirror) -> bool) -> Vec<Mirror> {
        let mut found: Vec<Mirror> = self.mirrors.values().filter(|mirror| fits(mirror)).cloned().collect();
        found.sort_by_key(|mirror| (mirror.due, mirror.entity, mirror.system.word()));
        found.truncate(limit as usize);
        found
    }
}

#[async_trait]
impl Leases for Memory {
    async fn lease(&self, workspaces: &[String], owner: &str, now: Millis, until: Millis) -> Result<Vec<Lease>> {
        let mut workspaces: Vec<&String> = workspaces.iter().collect();
        workspaces.sort_unstable();
        workspaces.dedup();
        let mut tables = self.tables().await;
        let take = |workspace: &String| {
            let held = tables.leases.get(workspace);
            let fence = match held {
                None => 1,
                Some(held) if held.owner == owner => held.fence,
                Some(held) if held.until <= now => held.fence + 1,
                Some(_) => return None,
            };
            let lease = Lease { workspace: workspace.clone(), owner: owner.to_owned(), fence, until };
            tables.leases.insert(workspace.clone(), lease.clone());
            Some(lease)
        };
        Ok(workspaces.into_iter().filter_map(take).collect())
    }

    async fn live_leases(&self, now: Millis) -> Result<Vec<Lease>> {
        let live = |lease: &&Lease| lease.until > now;
        Ok(self.tables().await.leases.values().filter(live).cloned().collect())
    }

    async fn release(&self, workspaces: &[String], owner: &str) -> Result<()> {
        let mut tables = self.tables().await;
        for workspace in workspaces {
            if let Some(lease) = tables.leases.get_mut(workspace).filter(|lease| lease.owner == owner) {
                (lease.owner, lease.until) = (String::new(), Millis(0));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Workspaces for Memory {
    async fn register(&self, names: &[String], mode: Mode, _now: Millis) -> Result<()> {
        let mut tables = self.tables().await;
        for name in names {
            tables.workspaces.entry(name.clone()).or_insert(mode);
        }
        Ok(())
    }

    async fn mode(&self, workspace: &str) -> Result<Option<Mode>> {
        Ok(self.tables().await.workspaces.get(workspace).copied())
    }

    async fn outlook(&self, workspace: &str, now: Millis) -> Result<Option<Outlook>> {
        let tables = self.tables().await;
        let times = |times: Vec<Millis>| Times {
            first: times.iter().min().copied(),
            later: times.iter().filter(|time| **time > now).min().copied(),
        };
        let rows = tables.inbox.values().filter(|row| row.workspace == workspace && row.on.is_none());
        let due = |mirror: &&Mirror| mirror.workspace == workspace && mirror.state == MirrorState::Due;
        let inbox = times(rows.map(|row| row.due).collect());
        let mirrors = times(tables.mirrors.values().filter(due).map(|mirror| mirror.due).collect());
        Ok(tables.workspaces.get(workspace).map(|mode| Outlook { mode: *mode, inbox, mirrors }))
    }

    async fn set_mode(&self, workspace: &str, mode: Mode, _now: Millis) -> Result<()> {
        if let Some(row) = self.tables().await.workspaces.get_mut(workspace) {
            *row = mode;
        }
        Ok(())
    }

    async fn last_webhooks(&self, workspace: &str) -> Result<BTreeMap<System, Millis>> {
        let tables = self.tables().await;
        let mut last = BTreeMap::new();
        let own = tables.log.values().filter(|said| said.workspace.as_deref() == Some(workspace));
        for said in own.filter(|said| said.origin == Origin::Webhook) {
            let at = last.entry(said.system).or_insert(said.received);
            *at = said.received.max(*at);
        }
        Ok(last)
    }

    async fn load(&self, workspace: &str) -> Result<Load> {
        let tables = self.tables().await;
        let undecided = tables.inbox.values().filter(|row| row.workspace == workspace).count() as u64;
        let mut load = Load { undecided, ..Load::default() };
        for mirror in tables.mirrors.values().filter(|mirror| mirror.workspace == workspace) {
            match mirror.state {
                MirrorState::Idle => {}
                MirrorState::Waiting => load.waiting += 1,
                MirrorState::Parked | MirrorState::Held => load.parked += 1,
                MirrorState::Due => {
                    let since = mirror.since.unwrap_or(mirror.due);
                    load.oldest_due = Some(load.oldest_due.map_or(since, |oldest| oldest.min(since)));
                    load.due += 1;
                }
            }
        }
        Ok(load)
    }

    async fn cursor(&self, workspace: &str, name: &str) -> Result<Option<String>> {
        Ok(self.tables().await.cursors.get(&(workspace.to_owned(), name.to_owned())).cloned())
    }

    async fn set_cursor(&self, workspace: &str, name: &str, text: &str, _now: Millis) -> Result<()> {
        self.tables().await.cursors.insert((workspace.to_owned(), name.to_owned()), text.to_owned());
        Ok(())
    }
}

#[async_trait]
impl Credentials for Memory {
    async fn credential(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.tables().await.credentials.get(name).cloned())
    }

    async fn keep_credential(&self, name: &str, sealed: &[u8], _now: Millis) -> Result<()> {
        self.tables().await.credentials.insert(name.to_owned(), sealed.to_vec());
        Ok(())
    }

    async fn credential_names(&self) -> Result<Vec<String>> {
        Ok(self.tables().await.credentials.keys().cloned().collect())
    }
}

#[async_trait]
impl Installs for Memory {
    async fn install(&self, key: &InstallKey) -> Result<Option<Install>> {
        Ok(self.tables().await.installs.get(key).map(|(install, _)| install.clone()))
    }

    async fn installs(&self) -> Result<Vec<Install>> {
        let mut all: Vec<Install> = self.tables().await.installs.values().map(|(install, _)| install.clone()).collect();
        all.sort_by_key(|one| (one.key.system.word(), one.key.holder.word(), one.key.account.clone()));
        Ok(all)
    }

    async fn put_install(&self, install: &Install, from: i64) -> Result<bool> {
        let mut tables = self.tables().await;
        let fits = tables.installs.get(&install.key).map_or(0, |(held, _)| held.generation) == from;
        if fits {
            tables.installs.insert(install.key.clone(), (install.clone(), None));
        }
        Ok(fits)
    }

    async fn set_install_state(
        &self,
        key: &InstallKey,
        generation: i64,
        state: InstallState,
        reason: Option<&str>,
        now: Millis,
    ) -> Result<bool> {
        let mut tables = self.tables().await;
        let row = tables.installs.get_mut(key).filter(|(held, _)| held.generation == generation);
        let Some((held, claim)) = row else { return Ok(false) };
        (held.state, held.reason, held.changed, *claim) = (state, reason.map(ToOwned::to_owned), now, None);
        Ok(true)
    }

    async fn claim_install(
        &self,
        key: &InstallKey,
        generation: i64,
        owner: &str,
        now: Millis,
        until: Millis,
    ) -> Result<bool> {
        let mut tables = self.tables().await;
        let row = tables.installs.get_mut(key).filter(|(held, _)| held.generation == generation);
        let Some((_, claim)) = row else { return Ok(false) };
        if claim.as_ref().is_some_and(|(by, till)| by != owner && *till > now) {
            return Ok(false);
        }
        *claim = Some((owner.to_owned(), until));
        Ok(true)
    }

    async fn keep_ticket(&self, state: &str, cookie: &str, now: Millis, until: Millis) -> Result<bool> {
        let mut tables = self.tables().await;
        tables.tickets.retain(|_, (_, until)| *until > now);
        let fits = tables.tickets.len() < TICKETS as usize;
        if fits {
            tables.tickets.insert(state.to_owned(), (cookie.to_owned(), until));
        }
        Ok(fits)
    }

    async fn take_ticket(&self, state: &str, now: Millis) -> Result<Option<String>> {
        let taken = self.tables().await.tickets.remove(state);
        Ok(taken.filter(|(_, until)| *until > now).map(|(cookie, _)| cookie))
    }
}
