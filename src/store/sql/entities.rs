//! Entities and links, read.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::dialect::{Sql, all, first};
use super::row_ref::RowRef;
use super::rows::{Both, EntityRow, HangingRow, LinkRow, MirrorRow, ids, read};
use super::{Db, Result};
use crate::model::{Entity, EntityId, ExternalId, Kind, Link, System};
use crate::store::{Entities, Keys, Whole};

/// An entity with its links and mirrors, each of them a JSON array of its columns: one statement sees one state.
macro_rules! whole {
    ($group:literal, $row:literal) => {
        concat!(
            "SELECT id, workspace, kind, parent, fields, life, deleted_at, deleted_by, merged_into, made, rev, ",
            "(SELECT COALESCE(CAST(",
            $group,
            "(",
            $row,
            "(workspace, system, kind, id, entity, state, snapshot, version, seen, sent, ledger, rev)) AS TEXT), '[]') ",
            "FROM (SELECT * FROM links WHERE entity = $1 ORDER BY system, id) AS l) AS links, ",
            "(SELECT COALESCE(CAST(",
            $group,
            "(",
            $row,
            "(workspace, entity, system, state, due, priority, tries, doubt, answered, intent, reason, since, rev)) AS TEXT), '[]') ",
            "FROM (SELECT * FROM mirrors WHERE entity = $1 ORDER BY system) AS m) AS mirrors ",
            "FROM entities WHERE id = $1"
        )
    };
}

const WHOLE: Sql = Sql { sqlite: whole!("json_group_array", "json_array"), pg: whole!("json_agg", "json_build_array") };

#[async_trait]
impl Entities for Db {
    async fn whole(&self, entity: EntityId) -> Result<Option<Whole>> {
        let mut on = self.read().await?;
        let row: Option<Both<EntityRow, HangingRow>> = first!(&mut on, WHOLE, entity.to_string());
        let Some(Both(entity, hanging)) = row else { return Ok(None) };
        let at = RowRef::new("entities", &entity.id);
        let links: Vec<LinkRow> = at.json("links", &hanging.links)?;
        let mirrors: Vec<MirrorRow> = at.json("mirrors", &hanging.mirrors)?;
        Ok(Some(Whole { entity: Entity::try_from(entity)?, links: read(links)?, mirrors: read(mirrors)? }))
    }

    async fn link(&self, workspace: &str, system: System, kind: Kind, id: &ExternalId) -> Result<Option<Link>> {
        let mut on = self.read().await?;
        let row: Option<LinkRow> = first!(
            &mut on,
            "SELECT workspace, system, kind, id, entity, state, snapshot, version, seen, sent, ledger, rev \
             FROM links WHERE workspace = $1 AND system = $2 AND kind = $3 AND id = $4",
            workspace,
            system.word(),
            kind.word(),
            id.as_str()
        );
        row.map(Link::try_from).transpose()
    }

    async fn with_keys(&self, workspace: &str, kind: Kind, keys: &Keys) -> Result<Vec<EntityId>> {
        let mut on = self.read().await?;
        ids(all!(
            &mut on,
            "SELECT id FROM entities WHERE workspace = $1 AND kind = $2 AND life = 'live' \
             AND (email_key = $3 OR phone_key = $4) ORDER BY id",
            workspace,
            kind.word(),
            keys.email.as_deref(),
            keys.phone.as_deref()
        ))
    }

    async fn children(&self, parent: EntityId, kind: Option<Kind>) -> Result<Vec<EntityId>> {
        let mut on = self.read().await?;
        ids(all!(
            &mut on,
            "SELECT id FROM entities WHERE parent = $1 AND life = 'live' AND ($2 IS NULL OR kind = $2) ORDER BY id",
            parent.to_string(),
            kind.map(Kind::word)
        ))
    }

    async fn remains(&self, parent: EntityId) -> Result<Vec<EntityId>> {
        let mut on = self.read().await?;
        ids(all!(
            &mut on,
            "SELECT e.id FROM entities e WHERE e.parent = $1 AND e.life = 'deleted' \
             AND EXISTS (SELECT 1 FROM links l WHERE l.entity = e.id AND l.state = 'live') ORDER BY e.id",
            parent.to_string()
        ))
    }

    async fn entities(&self, workspace: &str, after: Option<EntityId>, limit: u32) -> Result<Vec<EntityId>> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let mut on = self.read().await?;
        ids(all!(
            &mut on,
            "SELECT id FROM entities WHERE workspace = $1 AND life = 'live' AND id > $2 ORDER BY id LIMIT $3",
            workspace,
            after.as_str(),
            i64::from(limit)
        ))
    }

    async fn live_links(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<Link>> {
        let mut on = self.read().await?;
        let rows: Vec<LinkRow> = all!(
            &mut on,
            "SELECT workspace, system, kind, id, entity, state, snapshot, version, seen, sent, ledger, rev \
             FROM links WHERE workspace = $1 AND system = $2 AND kind = $3 AND state = 'live' ORDER BY id",
            workspace,
            system.word(),
            kind.word()
        );
        read(rows)
    }

    async fn links_within(&self, workspace: &str, system: System, outer: &ExternalId) -> Result<Vec<Link>> {
        let mut on = self.read().await?;
        let rows: Vec<LinkRow> = all!(
            &mut on,
            "SELECT workspace, system, kind, id, entity, state, snapshot, version, seen, sent, ledger, rev \
             FROM links WHERE within = $3 AND workspace = $1 AND system = $2 ORDER BY id",
            workspace,
            system.word(),
            outer.as_str()
        );
        read(rows)
    }

    async fn open_intents(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<EntityId>> {
        let mut on = self.read().await?;
        ids(all!(
            &mut on,
            "SELECT m.entity FROM mirrors m JOIN entities e ON e.id = m.entity WHERE m.workspace = $1 \
             AND m.system = $2 AND m.intent IS NOT NULL AND e.kind = $3 ORDER BY m.entity",
            workspace,
            system.word(),
            kind.word()
        ))
    }

    async fn apart(&self, workspace: &str, entity: EntityId) -> Result<BTreeSet<EntityId>> {
        let entity = entity.to_string();
        let mut on = self.read().await?;
        let others = ids(all!(
            &mut on,
            "SELECT other FROM apart WHERE one = $2 AND workspace = $1 \
             UNION SELECT one FROM apart WHERE other = $2 AND workspace = $1",
            workspace,
            entity.as_str()
        ))?;
        Ok(others.into_iter().collect())
    }
}
