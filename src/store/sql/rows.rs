//! Rows as the drivers give them, and the way from there into the model.
//!
//! A row that does not hold what its table promises becomes [`StoreError::BadRow`] with table, column and key, never a panic.

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::row_ref::RowRef;
use super::{Result, StoreError};
use crate::clock::Millis;
use crate::model::{
    Attempt, Change, ChangeId, Conflict, ConflictId, Entity, EntityId, ExternalId, Field, Install, InstallKey,
    Invitation, KeptConflict, Lease, Life, Link, Mirror, NewChange, NewConflict, Proof, Stamp, Stamped, VerdictRow,
};
use crate::store::Review;

/// A struct whose fields are columns, for both drivers; as JSON, an array of them.
macro_rules! row {
    ($name:ident { $($column:ident: $type:ty),+ $(,)? }) => {
        #[derive(Debug, serde::Deserialize)]
        pub(super) struct $name { $(pub(super) $column: $type),+ }

        impl<'r, R: Row> FromRow<'r, R> for $name
        where
            &'static str: ColumnIndex<R>,
            $($type: Decode<'r, R::Database> + Type<R::Database>),+
        {
            fn from_row(row: &'r R) -> sqlx::Result<Self> {
                Ok(Self { $($column: row.try_get(stringify!($column))?),+ })
            }
        }
    };
}

/// Two rows side by side, from a join.
pub(super) struct Both<A, B>(pub(super) A, pub(super) B);

impl<'r, R: Row, A: FromRow<'r, R>, B: FromRow<'r, R>> FromRow<'r, R> for Both<A, B> {
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self(A::from_row(row)?, B::from_row(row)?))
    }
}

row!(ChangeRow {
    id: i64,
    dedup: String,
    workspace: Option<String>,
    system: String,
    extension: bool,
    origin: String,
    label: String,
    kind: Option<String>,
    object: Option<String>,
    standing: String,
    reason: Option<String>,
    at: Option<i64>,
    received: i64,
});

row!(BodyRow { headers: Option<String>, body: Option<Vec<u8>> });

row!(DoubtRow { doubt: i64 });

impl ChangeRow {
    /// The change; without its body when that was purged or not asked for.
    pub(super) fn with_body(self, body: Option<BodyRow>) -> Result<Change> {
        let at = RowRef::new("change_log", self.id);
        let (headers, body) = body.map_or((None, None), |row| (row.headers, row.body));
        let headers = RowRef::new("bodies", self.id).maybe_json("headers", headers.as_deref())?;
        let said = NewChange {
            system: at.word("system", &self.system)?,
            origin: at.word("origin", &self.origin)?,
            kind: at.maybe_word("kind", self.kind.as_deref())?,
            standing: at.word("standing", &self.standing)?,
            object: self.object.map(ExternalId),
            dedup: self.dedup,
            workspace: self.workspace,
            extension: self.extension,
            label: self.label,
            reason: self.reason,
            at: self.at.map(Millis),
            received: Millis(self.received),
            headers: headers.unwrap_or_default(),
            body: body.unwrap_or_default().into(),
        };
        Ok(Change { id: ChangeId(self.id), said })
    }
}

impl TryFrom<Both<ChangeRow, BodyRow>> for Change {
    type Error = StoreError;
    fn try_from(Both(change, body): Both<ChangeRow, BodyRow>) -> Result<Self> {
        change.with_body(Some(body))
    }
}

row!(FoundRow {
    change_id: i64,
    entity: Option<String>,
    outcome: String,
    findings: String,
    why: String,
    decided: i64,
});

impl TryFrom<FoundRow> for VerdictRow {
    type Error = StoreError;
    fn try_from(row: FoundRow) -> Result<Self> {
        let at = RowRef::new("verdicts", row.change_id);
        Ok(Self {
            change: ChangeId(row.change_id),
            entity: at.maybe_word("entity", row.entity.as_deref())?,
            outcome: at.word("outcome", &row.outcome)?,
            findings: at.json("findings", &row.findings)?,
            why: row.why,
            at: Millis(row.decided),
        })
    }
}

row!(EntityRow {
    id: String,
    workspace: String,
    kind: String,
    parent: Option<String>,
    fields: String,
    life: String,
    deleted_at: Option<i64>,
    deleted_by: Option<String>,
    merged_into: Option<String>,
    made: i64,
    rev: i64,
});

/// The words of [`Life`] in its column.
pub(super) const LIVE: &str = "live";
pub(super) const DELETED: &str = "deleted";
pub(super) const MERGED: &str = "merged";

/// A word that is not one of the three.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no state of an entity")]
struct NoLife(String);

impl EntityRow {
    fn life(&self, at: &RowRef) -> Result<Life> {
        match self.life.as_str() {
            LIVE => Ok(Life::Live),
            DELETED => {
                let author = at.given("deleted_by", self.deleted_by.as_deref())?;
                let t = at.given("deleted_at", self.deleted_at)?;
                Ok(Life::Deleted(Stamp::new(Millis(t), at.word("deleted_by", author)?)))
            }
            MERGED => {
                let other = at.given("merged_into", self.merged_into.as_deref())?;
                Ok(Life::Merged(at.word("merged_into", other)?))
            }
            other => Err(at.bad("life", NoLife(other.to_owned()))),
        }
    }
}

impl TryFrom<EntityRow> for Entity {
    type Error = StoreError;
    fn try_from(row: EntityRow) -> Result<Self> {
        let at = RowRef::new("entities", &row.id);
        Ok(Self {
            id: at.word("id", &row.id)?,
            kind: at.word("kind", &row.kind)?,
            parent: at.maybe_word("parent", row.parent.as_deref())?,
            fields: at.json("fields", &row.fields)?,
            life: row.life(&at)?,
            made: Millis(row.made),
            rev: row.rev,
            workspace: row.workspace,
        })
    }
}

row!(HangingRow { links: String, mirrors: String });

row!(LinkRow {
    workspace: String,
    system: String,
    kind: String,
    id: String,
    entity: String,
    state: String,
    snapshot: String,
    version: Option<i64>,
    seen: i64,
    sent: Option<String>,
    ledger: String,
    rev: i64,
});

impl TryFrom<LinkRow> for Link {
    type Error = StoreError;
    fn try_from(row: LinkRow) -> Result<Self> {
        let at = RowRef::new("links", format_args!("{}/{}/{}/{}", row.workspace, row.system, row.kind, row.id));
        Ok(Self {
            entity: at.word("entity", &row.entity)?,
            system: at.word("system", &row.system)?,
            kind: at.word("kind", &row.kind)?,
            state: at.word("state", &row.state)?,
            snapshot: at.json("snapshot", &row.snapshot)?,
            sent: at.maybe_json("sent", row.sent.as_deref())?,
            ledger: at.json("ledger", &row.ledger)?,
            version: row.version.map(Millis),
            seen: Millis(row.seen),
            rev: row.rev,
            workspace: row.workspace,
            id: ExternalId(row.id),
        })
    }
}

row!(MirrorRow {
    workspace: String,
    entity: String,
    system: String,
    state: String,
    due: i64,
    priority: String,
    tries: i64,
    doubt: i64,
    answered: i64,
    intent: Option<String>,
    reason: Option<String>,
    since: Option<i64>,
    rev: i64,
});

impl TryFrom<MirrorRow> for Mirror {
    type Error = StoreError;
    fn try_from(row: MirrorRow) -> Result<Self> {
        let at = RowRef::new("mirrors", format_args!("{}/{}", row.entity, row.system));
        Ok(Self {
            entity: at.word("entity", &row.entity)?,
            system: at.word("system", &row.system)?,
            state: at.word("state", &row.state)?,
            priority: at.word("priority", &row.priority)?,
            tries: at.number("tries", row.tries)?,
            intent: at.maybe_json("intent", row.intent.as_deref())?,
            due: Millis(row.due),
            doubt: row.doubt,
            answered: row.answered,
            since: row.since.map(Millis),
            rev: row.rev,
            workspace: row.workspace,
            reason: row.reason,
        })
    }
}

row!(AttemptRow {
    id: i64,
    workspace: String,
    entity: String,
    system: String,
    action: String,
    object: Option<String>,
    fields: String,
    result: String,
    status: Option<i64>,
    note: Option<String>,
    at: i64,
    took_ms: i64,
    lag_ms: Option<i64>,
    trace: Option<String>,
    burst_left: Option<i64>,
    day_left: Option<i64>,
});

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;
    fn try_from(row: AttemptRow) -> Result<Self> {
        let at = RowRef::new("attempts", row.id);
        Ok(Self {
            entity: at.word("entity", &row.entity)?,
            system: at.word("system", &row.system)?,
            action: at.word("action", &row.action)?,
            object: row.object.map(ExternalId),
            fields: at.json("fields", &row.fields)?,
            result: at.word("result", &row.result)?,
            status: row.status.map(|status| at.number("status", status)).transpose()?,
            workspace: row.workspace,
            note: row.note,
            at: Millis(row.at),
            took_ms: row.took_ms,
            lag_ms: row.lag_ms,
            trace: row.trace,
            burst_left: row.burst_left.map(|left| at.number("burst_left", left)).transpose()?,
            day_left: row.day_left.map(|left| at.number("day_left", left)).transpose()?,
        })
    }
}

row!(ConflictRow { id: i64, entity: String, field: String, system: String, lost: String, won: String, rule: String });

/// A name that no field has.
#[derive(Debug, thiserror::Error)]
#[error("not the name of a field")]
struct NoField;

impl TryFrom<ConflictRow> for (EntityId, Conflict) {
    type Error = StoreError;
    fn try_from(row: ConflictRow) -> Result<Self> {
        let at = RowRef::new("conflicts", row.id);
        let lost: Stamped = at.json("lost", &row.lost)?;
        let won: Stamped = at.json("won", &row.won)?;
        let conflict = Conflict {
            field: Field::parse(&row.field).ok_or_else(|| at.bad("field", NoField))?,
            system: at.word("system", &row.system)?,
            lost: lost.value,
            lost_stamp: lost.stamp,
            won: won.value,
            won_stamp: won.stamp,
            rule: row.rule,
        };
        Ok((at.word("entity", &row.entity)?, conflict))
    }
}

row!(ProofRow {
    workspace: String,
    change_id: Option<i64>,
    at: i64,
    object: Option<String>,
    base: Option<String>,
    shown_by: Option<String>,
    report: Option<i64>,
    state: String,
    closed: Option<i64>,
    closed_by: Option<String>,
});

impl TryFrom<Both<ConflictRow, ProofRow>> for KeptConflict {
    type Error = StoreError;
    fn try_from(Both(row, rest): Both<ConflictRow, ProofRow>) -> Result<Self> {
        let (id, at) = (row.id, RowRef::new("conflicts", row.id));
        let (entity, conflict) = row.try_into()?;
        let proof = Proof {
            object: rest.object.map(ExternalId),
            base: at.maybe_json("base", rest.base.as_deref())?,
            shown_by: at.maybe_word("shown_by", rest.shown_by.as_deref())?,
        };
        let change = rest.change_id.map(ChangeId);
        Ok(Self {
            id: ConflictId(id),
            report: ConflictId(rest.report.unwrap_or(id)),
            workspace: rest.workspace,
            told: NewConflict { entity, change, conflict, proof },
            at: Millis(rest.at),
            state: at.word("state", &rest.state)?,
            closed: rest.closed.map(|closed| (Millis(closed), rest.closed_by.unwrap_or_default())),
        })
    }
}

row!(ReviewRow {
    id: i64,
    workspace: String,
    subject: String,
    entity: Option<String>,
    text: String,
    at: i64,
});

impl TryFrom<ReviewRow> for Review {
    type Error = StoreError;
    fn try_from(row: ReviewRow) -> Result<Self> {
        let entity = RowRef::new("reviews", row.id).maybe_word("entity", row.entity.as_deref())?;
        Ok(Self { workspace: row.workspace, subject: row.subject, entity, text: row.text, at: Millis(row.at) })
    }
}

row!(InstallRow {
    system: String,
    holder: String,
    account: String,
    company: Option<String>,
    state: String,
    reason: Option<String>,
    scopes: String,
    sealed: Option<Vec<u8>>,
    expires: Option<i64>,
    generation: i64,
    changed: i64,
});

impl TryFrom<InstallRow> for Install {
    type Error = StoreError;
    fn try_from(row: InstallRow) -> Result<Self> {
        let at = RowRef::new("installs", &row.account);
        let (system, holder) = (at.word("system", &row.system)?, at.word("holder", &row.holder)?);
        Ok(Self {
            key: InstallKey { system, holder, account: row.account },
            company: row.company,
            state: at.word("state", &row.state)?,
            reason: row.reason,
            scopes: at.json("scopes", &row.scopes)?,
            sealed: row.sealed,
            expires: row.expires.map(Millis),
            generation: row.generation,
            changed: Millis(row.changed),
        })
    }
}

row!(InvitationRow {
    id: String,
    workspace: String,
    contact: String,
    calendar: String,
    written_to: String,
    state: String,
    link: Option<String>,
    booking: Option<String>,
    watched: bool,
    reason: Option<String>,
    made: i64,
    looked: i64,
    due: Option<i64>,
    idle: i64,
    rev: i64,
});

impl TryFrom<InvitationRow> for Invitation {
    type Error = StoreError;
    fn try_from(row: InvitationRow) -> Result<Self> {
        let at = RowRef::new("invitations", &row.id);
        Ok(Self {
            id: at.word("id", &row.id)?,
            workspace: row.workspace,
            contact: at.word("contact", &row.contact)?,
            calendar: row.calendar,
            written_to: at.word("written_to", &row.written_to)?,
            state: at.word("state", &row.state)?,
            link: row.link.map(ExternalId),
            booking: row.booking.map(ExternalId),
            watched: row.watched,
            reason: row.reason,
            made: Millis(row.made),
            looked: Millis(row.looked),
            due: row.due.map(Millis),
            idle: at.number("idle", row.idle)?,
            rev: row.rev,
        })
    }
}

row!(OutlookRow {
    mode: String,
    inbox: Option<i64>,
    inbox_later: Option<i64>,
    mirrors: Option<i64>,
    mirrors_later: Option<i64>,
});

row!(LeaseRow { workspace: String, owner: String, fence: i64, until: i64 });

impl From<LeaseRow> for Lease {
    fn from(row: LeaseRow) -> Self {
        Self { workspace: row.workspace, owner: row.owner, fence: row.fence, until: Millis(row.until) }
    }
}

/// Reads all rows into the model.
pub(super) fn read<R, T: TryFrom<R, Error = StoreError>>(rows: Vec<R>) -> Result<Vec<T>> {
    rows.into_iter().map(T::try_from).collect()
}

/// Reads ids of entities.
pub(super) fn ids(rows: Vec<(String,)>) -> Result<Vec<EntityId>> {
    rows.into_iter().map(|(id,)| RowRef::new("entities", &id).word("id", &id)).collect()
}
