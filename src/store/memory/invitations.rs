//! Links by which one guest books once.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{Memory, Tables};
use crate::clock::Millis;
use crate::model::{Invitation, NewChange, System};
use crate::store::{Invitations, Result};

/// What TimeRex says when something became of a link.
const TOLD: [&str; 2] = ["one_time_url.confirmed", "one_time_url.cancelled"];

impl Tables {
    /// Those that are to be looked at, longest due first.
    fn due_invitations(&self, now: Millis) -> Vec<&Invitation> {
        let told = |one: &Invitation| {
            self.log.values().any(|said| {
                said.system == System::Timerex
                    && TOLD.contains(&said.label.as_str())
                    && said.object.is_some()
                    && said.object == one.link
                    && said.workspace.as_deref() == Some(&one.workspace)
                    && said.received >= one.looked
            })
        };
        let is_due = |one: &&Invitation| one.due.is_some_and(|due| due <= now || told(one));
        let mut due: Vec<_> = self.invitations.values().filter(is_due).collect();
        due.sort_by_key(|one| (one.due, one.id));
        due
    }
}

#[async_trait]
impl Invitations for Memory {
    async fn put_invitation(&self, invitation: &Invitation, changes: &[NewChange]) -> Result<bool> {
        let mut tables = self.tables().await;
        let held = tables.invitations.get(&invitation.id).map_or(0, |one| one.rev);
        if held != invitation.rev {
            return Ok(false);
        }
        tables.invitations.insert(invitation.id, Invitation { rev: held + 1, ..invitation.clone() });
        tables.append(changes);
        Ok(true)
    }

    async fn invitations(&self, workspace: &str, limit: u32) -> Result<Vec<Invitation>> {
        let tables = self.tables().await;
        let mut own: Vec<_> = tables.invitations.values().filter(|one| one.workspace == workspace).collect();
        own.sort_by_key(|one| (std::cmp::Reverse(one.made), one.id));
        Ok(own.into_iter().take(limit as usize).cloned().collect())
    }

    async fn due_invitations(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Invitation>> {
        let tables = self.tables().await;
        let own = tables.due_invitations(now).into_iter().filter(|one| one.workspace == workspace);
        Ok(own.take(limit as usize).cloned().collect())
    }

    async fn workspaces_with_due_invitations(&self, now: Millis) -> Result<Vec<String>> {
        let tables = self.tables().await;
        let named: BTreeSet<_> = tables.due_invitations(now).into_iter().map(|one| one.workspace.clone()).collect();
        Ok(named.into_iter().collect())
    }
}
