//! Links by which one guest books once. The link itself is not kept here.

use async_trait::async_trait;

use super::change_log::append_all;
use super::dialect::{all, execute};
use super::error::collided;
use super::rows::{InvitationRow, read};
use super::{Db, Result};
use crate::clock::Millis;
use crate::model::{ExternalId, Invitation, NewChange};
use crate::store::Invitations;

/// How often a write is tried that collides with another transaction.
const TRIES: u32 = 5;

/// An invitation, aliased `i`, that is to be looked at at `$1`.
macro_rules! select_due {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM invitations i WHERE i.due IS NOT NULL AND (i.due <= $1 OR EXISTS (SELECT 1 FROM change_log c \
             WHERE c.label IN ('one_time_url.confirmed', 'one_time_url.cancelled') AND c.system = 'timerex' \
             AND c.object = i.link AND c.workspace = i.workspace AND c.received >= i.looked)) ",
            $rest
        )
    };
}

#[async_trait]
impl Invitations for Db {
    async fn put_invitation(&self, invitation: &Invitation, changes: &[NewChange]) -> Result<bool> {
        let mut tries = 1;
        loop {
            match self.try_put(invitation, changes).await {
                Err(error) if collided(&error) && tries < TRIES => tries += 1,
                done => return Ok(done?),
            }
        }
    }

    async fn invitations(&self, workspace: &str, limit: u32) -> Result<Vec<Invitation>> {
        let mut on = self.read().await?;
        let rows: Vec<InvitationRow> = all!(
            &mut on,
            "SELECT id, workspace, contact, calendar, written_to, state, link, booking, watched, reason, made, looked, \
             due, idle, rev FROM invitations WHERE workspace = $1 ORDER BY made DESC, id LIMIT $2",
            workspace,
            i64::from(limit)
        );
        read(rows)
    }

    async fn due_invitations(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Invitation>> {
        const SQL: &str = select_due!(
            "i.id, i.workspace, i.contact, i.calendar, i.written_to, i.state, i.link, i.booking, i.watched, i.reason, \
             i.made, i.looked, i.due, i.idle, i.rev",
            "AND i.workspace = $2 ORDER BY i.due, i.id LIMIT $3"
        );
        let mut on = self.read().await?;
        let rows: Vec<InvitationRow> = all!(&mut on, SQL, now.0, workspace, i64::from(limit));
        read(rows)
    }

    async fn workspaces_with_due_invitations(&self, now: Millis) -> Result<Vec<String>> {
        const SQL: &str = select_due!("DISTINCT i.workspace", "ORDER BY 1");
        let mut on = self.read().await?;
        let rows: Vec<(String,)> = all!(&mut on, SQL, now.0);
        Ok(rows.into_iter().map(|(workspace,)| workspace).collect())
    }
}

impl Db {
    async fn try_put(&self, one: &Invitation, changes: &[NewChange]) -> sqlx::Result<bool> {
        let sql = if one.rev == 0 {
            "INSERT INTO invitations (id, workspace, contact, calendar, written_to, state, link, booking, watched, reason, \
             made, looked, due, idle, rev) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 + 1) \
             ON CONFLICT (id) DO NOTHING"
        } else {
            "UPDATE invitations SET contact = $3, calendar = $4, written_to = $5, state = $6, link = $7, booking = $8, \
             watched = $9, reason = $10, made = $11, looked = $12, due = $13, idle = $14, rev = rev + 1 \
             WHERE id = $1 AND workspace = $2 AND rev = $15"
        };
        let mut tx = self.write().await?;
        let written = execute!(
            &mut tx,
            sql,
            one.id.to_string(),
            one.workspace.as_str(),
            one.contact.to_string(),
            one.calendar.as_str(),
            one.written_to.to_string(),
            one.state.word(),
            one.link.as_ref().map(ExternalId::as_str),
            one.booking.as_ref().map(ExternalId::as_str),
            one.watched,
            one.reason.as_deref(),
            one.made.0,
            one.looked.0,
            one.due.map(|due| due.0),
            i64::from(one.idle),
            one.rev,
        );
        if written != 1 {
            return Ok(false);
        }
        append_all(&mut tx, changes).await?;
        tx.commit().await?;
        Ok(true)
    }
}
