//! Reads what stands in a column, and names table, column and row when it is bad. Never says what stood there if that may
//! be somebody's name or number.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use super::{Result, StoreError};

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
pub(super) struct RowRef {
    table: &'static str,
    row: String,
}

impl RowRef {
    pub(super) fn new(table: &'static str, row: impl fmt::Display) -> Self {
        Self { table, row: row.to_string() }
    }

    pub(super) fn bad(&self, column: &'static str, cause: impl Error + Send + Sync + 'static) -> StoreError {
        StoreError::BadRow { table: self.table, column, row: self.row.clone(), cause: Box::new(cause) }
    }

    /// A word of one of our enums, or an id.
    pub(super) fn word<T: FromStr>(&self, column: &'static str, text: &str) -> Result<T>
    where
        T::Err: Error + Send + Sync + 'static,
    {
        text.parse().map_err(|error| self.bad(column, error))
    }

    pub(super) fn maybe_word<T: FromStr>(&self, column: &'static str, text: Option<&str>) -> Result<Option<T>>
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

    pub(super) fn maybe_json<T: DeserializeOwned>(
        &self,
        column: &'static str,
        text: Option<&str>,
    ) -> Result<Option<T>> {
        text.map(|text| self.json(column, text)).transpose()
    }

    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str, number: i64) -> Result<T>
    where
        T::Error: Error + Send + Sync + 'static,
    {
        number.try_into().map_err(|error| self.bad(column, error))
    }

    pub(super) fn given<T>(&self, column: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.bad(column, Empty))
    }
}
