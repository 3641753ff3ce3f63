//! Installs of our app, and begun authorizations. Tokens are sealed before they come here.

use async_trait::async_trait;

use super::dialect::{all, execute, first, json};
use super::rows::{InstallRow, read};
use super::{Db, Result};
use crate::clock::Millis;
use crate::model::{Install, InstallKey, InstallState};
use crate::store::{Installs, TICKETS};

macro_rules! select_install {
    ($rest:literal) => {
        concat!(
            "SELECT system, holder, account, company, state, reason, scopes, sealed, expires, generation, changed ",
            "FROM installs ",
            $rest
        )
    };
}

#[async_trait]
impl Installs for Db {
    async fn install(&self, key: &InstallKey) -> Result<Option<Install>> {
        const SQL: &str = select_install!("WHERE system = $1 AND holder = $2 AND account = $3");
        let mut on = self.read().await?;
        let (system, holder) = (key.system.word(), key.holder.word());
        let row: Option<InstallRow> = first!(&mut on, SQL, system, holder, key.account.as_str());
        row.map(Install::try_from).transpose()
    }

    async fn installs(&self) -> Result<Vec<Install>> {
        let mut on = self.read().await?;
        let rows: Vec<InstallRow> = all!(&mut on, select_install!("ORDER BY system, holder, account"));
        read(rows)
    }

    async fn put_install(&self, install: &Install, from: i64) -> Result<bool> {
        let mut tx = self.write().await?;
        let written = execute!(
            &mut tx,
            "INSERT INTO installs (system, holder, account, company, state, reason, scopes, sealed, expires, generation, \
             changed) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 WHERE $12 = 0 OR EXISTS \
             (SELECT 1 FROM installs WHERE system = $1 AND holder = $2 AND account = $3) \
             ON CONFLICT (system, holder, account) DO UPDATE SET company = excluded.company, state = excluded.state, \
             reason = excluded.reason, scopes = excluded.scopes, sealed = excluded.sealed, expires = excluded.expires, \
             generation = excluded.generation, changed = excluded.changed, claimed_by = NULL, claimed_until = NULL \
             WHERE installs.generation = $12",
            install.key.system.word(),
            install.key.holder.word(),
            install.key.account.as_str(),
            install.company.as_deref(),
            install.state.word(),
            install.reason.as_deref(),
            json(&install.scopes)?,
            install.sealed.as_deref(),
            install.expires.map(|at| at.0),
            install.generation,
            install.changed.0,
            from,
        );
        tx.commit().await?;
        Ok(written == 1)
    }

    async fn set_install_state(
        &self,
        key: &InstallKey,
        generation: i64,
        state: InstallState,
        reason: Option<&str>,
        now: Millis,
    ) -> Result<bool> {
        let mut tx = self.write().await?;
        let written = execute!(
            &mut tx,
            "UPDATE installs SET state = $5, reason = $6, changed = $7, claimed_by = NULL, claimed_until = NULL \
             WHERE system = $1 AND holder = $2 AND account = $3 AND generation = $4",
            key.system.word(),
            key.holder.word(),
            key.account.as_str(),
            generation,
            state.word(),
            reason,
            now.0,
        );
        tx.commit().await?;
        Ok(written == 1)
    }

    async fn claim_install(
        &self,
        key: &InstallKey,
        generation: i64,
        owner: &str,
        now: Millis,
        until: Millis,
    ) -> Result<bool> {
        let mut tx = self.write().await?;
        let written = execute!(
            &mut tx,
            "UPDATE installs SET claimed_by = $5, claimed_until = $7 \
             WHERE system = $1 AND holder = $2 AND account = $3 AND generation = $4 \
             AND (claimed_by IS NULL OR claimed_by = $5 OR claimed_until <= $6)",
            key.system.word(),
            key.holder.word(),
            key.account.as_str(),
            generation,
            owner,
            now.0,
            until.0,
        );
        tx.commit().await?;
        Ok(written == 1)
    }

    async fn keep_ticket(&self, state: &str, cookie: &str, now: Millis, until: Millis) -> Result<bool> {
        let mut tx = self.write().await?;
        execute!(&mut tx, "DELETE FROM tickets WHERE until <= $1", now.0);
        let kept = execute!(
            &mut tx,
            "INSERT INTO tickets (state, cookie, until) SELECT $1, $2, $3 WHERE (SELECT COUNT(*) FROM tickets) < $4",
            state,
            cookie,
            until.0,
            i64::from(TICKETS),
        );
        tx.commit().await?;
        Ok(kept == 1)
    }

    async fn take_ticket(&self, state: &str, now: Millis) -> Result<Option<String>> {
        let mut tx = self.write().await?;
        let row: Option<(String, i64)> =
            first!(&mut tx, "DELETE FROM tickets WHERE state = $1 RETURNING cookie, until", state);
        tx.commit().await?;
        Ok(row.filter(|(_, until)| *until > now.0).map(|(cookie, _)| cookie))
    }
}
