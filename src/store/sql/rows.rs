//! Rows as the drivers give them, and the way from there into the model.
//!
//! A row that does not hold what its table promises becomes [`StoreError::BadRow`] with table, column and key, never a panic.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::{Result, StoreError};
use crate::clock::Millis;
use crate::model::{
    Attempt, Change, ChangeId, Conflict, Entity, EntityId, ExternalId, Field, Lease, Life, Link, Mirror, NewChange,
    Stamp, Stamped, VerdictRow,
};
use crate::store::Review;

/// A struct whose fields are columns, for both drivers.
macro_rules! row {
    ($name:ident { $($column:ident: $type:ty),+ $(,)? }) => {
        #[derive(Debug)]
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

/// JSON that could not be read. Says where, never what stood there.
#[derive(Debug, thiserror::Error)]
#[error("not the JSON that was expected: {category:?}, line {line}, column {column}")]
struct BadJson {
    category: serde_json::error::Category,
    line: usize,
    column: usize,
}

/// A column is empty that must not be.
#[derive(Debug, thiserror::Error)]
#[error("empty, though another column needs it")]
struct Empty;

/// The row that is being read, for naming it when it is bad.
pub(super) struct Place {
    table: &'static str,
    row: String,
}

impl Place {
    pub(super) fn new(table: &'static str, row: impl fmt::Display) -> Self {
        Self { table, row: row.to_string() }
    }

    fn bad(&self, column: &'static str, source: impl Error + Send + Sync + 'static) -> StoreError {
        StoreError::BadRow { table: self.table, column, row: self.row.clone(), source: Box::new(source) }
    }

    /// A word of one of our enums, or an id.
    pub(super) fn word<T: FromStr>(&self, column: &'static str, text: &str) -> Result<T>
    where
        T::Err: Error + Send + Sync + 'static,
    {
        text.parse().map_err(|error| self.bad(column, error))
    }

    fn maybe_word<T: FromStr>(&self, column: &'static str, text: Option<&str>) -> Result<Option<T>>
    where
        T::Err: Error + Send + Sync + 'static,
    {
        text.map(|text| self.word(column, text)).transpose()
    }

    /// JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|error| {
            let (category, line, at) = (error.classify(), error.line(), error.column());
            self.bad(column, BadJson { category, line, column: at })
        })
    }

    fn maybe_json<T: DeserializeOwned>(&self, column: &'static str, text: Option<&str>) -> Result<Option<T>> {
        text.map(|text| self.json(column, text)).transpose()
    }

    fn number<T: TryFrom<i64>>(&self, column: &'static str, number: i64) -> Result<T>
    where
        T::Error: Error + Send + Sync + 'static,
    {
        number.try_into().map_err(|error| self.bad(column, error))
    }

    fn given<T>(&self, column: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.bad(column, Empty))
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
        let place = Place::new("change_log", self.id);
        let (headers, body) = body.map_or((None, None), |row| (row.headers, row.body));
        let headers = Place::new("bodies", self.id).maybe_json("headers", headers.as_deref())?;
        let said = NewChange {
            system: place.word("system", &self.system)?,
            origin: place.word("origin", &self.origin)?,
            kind: place.maybe_word("kind", self.kind.as_deref())?,
            standing: place.word("standing", &self.standing)?,
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
        let place = Place::new("verdicts", row.change_id);
        Ok(Self {
            change: ChangeId(row.change_id),
            entity: place.maybe_word("entity", row.entity.as_deref())?,
            outcome: place.word("outcome", &row.outcome)?,
            findings: place.json("findings", &row.findings)?,
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
    fn life(&self, place: &Place) -> Result<Life> {
        match self.life.as_str() {
            LIVE => Ok(Life::Live),
            DELETED => {
                let author = place.given("deleted_by", self.deleted_by.as_deref())?;
                let t = place.given("deleted_at", self.deleted_at)?;
                Ok(Life::Deleted(Stamp::new(Millis(t), place.word("deleted_by", author)?)))
            }
            MERGED => {
                let other = place.given("merged_into", self.merged_into.as_deref())?;
                Ok(Life::Merged(place.word("merged_into", other)?))
            }
            other => Err(place.bad("life", NoLife(other.to_owned()))),
        }
    }
}

impl TryFrom<EntityRow> for Entity {
    type Error = StoreError;
    fn try_from(row: EntityRow) -> Result<Self> {
        let place = Place::new("entities", &row.id);
        Ok(Self {
            id: place.word("id", &row.id)?,
            kind: place.word("kind", &row.kind)?,
            parent: place.maybe_word("parent", row.parent.as_deref())?,
            fields: place.json("fields", &row.fields)?,
            life: row.life(&place)?,
            made: Millis(row.made),
            rev: row.rev,
            workspace: row.workspace,
        })
    }
}

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
        let place = Place::new("links", format_args!("{}/{}/{}/{}", row.workspace, row.system, row.kind, row.id));
        Ok(Self {
            entity: place.word("entity", &row.entity)?,
            system: place.word("system", &row.system)?,
            kind: place.word("kind", &row.kind)?,
            state: place.word("state", &row.state)?,
            snapshot: place.json("snapshot", &row.snapshot)?,
            sent: place.maybe_json("sent", row.sent.as_deref())?,
            ledger: place.json("ledger", &row.ledger)?,
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
        let place = Place::new("mirrors", format_args!("{}/{}", row.entity, row.system));
        Ok(Self {
            entity: place.word("entity", &row.entity)?,
            system: place.word("system", &row.system)?,
            state: place.word("state", &row.state)?,
            tries: place.number("tries", row.tries)?,
            intent: place.maybe_json("intent", row.intent.as_deref())?,
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
});

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;
    fn try_from(row: AttemptRow) -> Result<Self> {
        let place = Place::new("attempts", row.id);
        Ok(Self {
            entity: place.word("entity", &row.entity)?,
            system: place.word("system", &row.system)?,
            action: place.word("action", &row.action)?,
            object: row.object.map(ExternalId),
            fields: place.json("fields", &row.fields)?,
            result: place.word("result", &row.result)?,
            status: row.status.map(|status| place.number("status", status)).transpose()?,
            workspace: row.workspace,
            note: row.note,
            at: Millis(row.at),
            took_ms: row.took_ms,
            lag_ms: row.lag_ms,
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
        let place = Place::new("conflicts", row.id);
        let lost: Stamped = place.json("lost", &row.lost)?;
        let won: Stamped = place.json("won", &row.won)?;
        let conflict = Conflict {
            field: Field::parse(&row.field).ok_or_else(|| place.bad("field", NoField))?,
            system: place.word("system", &row.system)?,
            lost: lost.value,
            lost_stamp: lost.stamp,
            won: won.value,
            won_stamp: won.stamp,
            rule: row.rule,
        };
        Ok((place.word("entity", &row.entity)?, conflict))
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
        let entity = Place::new("reviews", row.id).maybe_word("entity", row.entity.as_deref())?;
        Ok(Self { workspace: row.workspace, subject: row.subject, entity, text: row.text, at: Millis(row.at) })
    }
}

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
    rows.into_iter().map(|(id,)| Place::new("entities", &id).word("id", &id)).collect()
}
