//! Statements that go to the database together.
//!
//! In: statements with their values, in order. Out: for each, what it did. SQLite gets them in few messages, for a message to
//! the thread of its connection costs more than most statements; PostgreSQL gets them one by one. What a count means is left
//! to whoever wrote the script.

use std::fmt::Write;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Executor, Row};

use super::dialect::{Either, Sql, Tx};

/// How many of one statement go in one message, at most; then fewer. There are few lengths, so that few messages are kept
/// prepared. What is left over goes with its neighbours.
const RUNS: [usize; 3] = [64, 16, 4];

/// A value of a statement.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(bool),
    Bytes(Vec<u8>),
}

macro_rules! from {
    ($($rust:ty, $name:ident => $value:expr;)+) => {
        $(impl From<$rust> for Value {
            fn from($name: $rust) -> Self {
                $value
            }
        })+
    };
}

from! {
    String, text => Self::Text(Some(text));
    &str, text => Self::Text(Some(text.to_owned()));
    Option<String>, text => Self::Text(text);
    Option<&str>, text => Self::Text(text.map(ToOwned::to_owned));
    i64, number => Self::Number(Some(number));
    Option<i64>, number => Self::Number(number);
    bool, flag => Self::Flag(flag);
    &[u8], bytes => Self::Bytes(bytes.to_owned());
}

/// The values of a statement, in the order of their numbers.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::store::sql::script::Value::from($value)),*]
    };
}

pub(super) use values;

/// Sends one message, and keeps what its statements did. The driver calls it deprecated to send several in one: here alone.
macro_rules! send {
    ($on:expr, $text:expr, $values:expr, $done:expr) => {{
        let mut query = sqlx::query($text);
        for value in $values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
                Value::Flag(flag) => query.bind(flag),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        let (mut answers, mut number) = ($on.fetch_many(query), None);
        while let Some(answer) = answers.try_next().await? {
            match answer {
                sqlx::Either::Left(result) => {
                    $done.push(Done { written: result.rows_affected(), number: number.take() })
                }
                sqlx::Either::Right(row) => number = number.or(Some(row.try_get(0)?)),
            }
        }
    }};
}

/// What one statement did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Rows that it wrote. Says nothing where it only reads.
    pub(super) written: u64,
    /// The number in the first column of the first row that it gave.
    pub(super) number: Option<i64>,
}

/// What the statements did that ran, and why not all of them.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) done: Vec<Done>,
    pub(super) failed: Option<sqlx::Error>,
}

impl Ran {
    /// What each statement did, if all ran.
    pub(super) fn all(self) -> sqlx::Result<Vec<Done>> {
        self.failed.map_or(Ok(self.done), Err)
    }
}

#[derive(Debug)]
struct Step {
    sql: Sql,
    values: Vec<Value>,
}

/// Statements that go together.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Step>);

impl Script {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a statement and its values.
    pub(super) fn add(&mut self, sql: impl Into<Sql>, values: Vec<Value>) {
        self.0.push(Step { sql: sql.into(), values });
    }

    /// Runs all, until one fails.
    pub(super) async fn run(self, tx: &mut Tx) -> Ran {
        let mut ran = Ran { done: Vec::with_capacity(self.0.len()), failed: None };
        ran.failed = match tx {
            Either::Sqlite(tx) => self.on_sqlite(tx, &mut ran.done).await,
            Either::Pg(tx) => self.on_postgres(tx, &mut ran.done).await,
        }
        .err();
        ran
    }

    async fn on_postgres(self, on: &mut sqlx::PgConnection, done: &mut Vec<Done>) -> sqlx::Result<()> {
        for step in self.0 {
            send!(on, step.sql.pg, step.values, done);
        }
        Ok(())
    }

    async fn on_sqlite(self, on: &mut sqlx::SqliteConnection, done: &mut Vec<Done>) -> sqlx::Result<()> {
        let mut steps = self.0;
        while !steps.is_empty() {
            let rest = steps.split_off(message(&steps));
            let (text, values) = joined(steps);
            send!(on, AssertSqlSafe(text), values, done);
            steps = rest;
        }
        Ok(())
    }
}

/// How many steps go in the next message: a run of one statement in a length of [`RUNS`], or all before the next such run.
fn message(steps: &[Step]) -> usize {
    let mut at = 0;
    for run in steps.chunk_by(|one, next| one.sql.sqlite == next.sql.sqlite) {
        match RUNS.into_iter().find(|length| *length <= run.len()) {
            Some(length) if at == 0 => return length,
            Some(_) => return at,
            None => at += run.len(),
        }
    }
    at
}

/// One text of many, their values numbered through.
fn joined(steps: Vec<Step>) -> (String, Vec<Value>) {
    let mut text = String::with_capacity(steps.iter().map(|step| step.sql.sqlite.len() + 16).sum());
    let mut values = Vec::new();
    for step in steps {
        let mut parts = step.sql.sqlite.split('$');
        text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let number: usize = part[..digits].parse().unwrap_or_default();
            // Writing to a text does not fail.
            let _ = write!(text, "${}{}", values.len() + number, &part[digits..]);
        }
        text.push(';');
        values.extend(step.values);
    }
    (text, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(statements: &[(&'static str, i64)]) -> Vec<Step> {
        statements.iter().map(|(sql, value)| Step { sql: (*sql).into(), values: values![*value] }).collect()
    }

    #[test]
    fn the_values_of_a_message_are_numbered_through() {
        let (text, values) =
            joined(script(&[("UPDATE a SET b = $1 WHERE c = $1 + 1", 7), ("DELETE FROM a", 8), ("SELECT $1", 9)]));
        assert_eq!(text, "UPDATE a SET b = $1 WHERE c = $1 + 1;DELETE FROM a;SELECT $3;");
        assert_eq!(values.len(), 3);
    }

    #[test]
    fn messages_have_few_lengths() {
        let lengths = |mut steps: Vec<Step>| {
            let mut lengths = Vec::new();
            while !steps.is_empty() {
                let rest = steps.split_off(message(&steps));
                lengths.push(steps.len());
                steps = rest;
            }
            lengths
        };
        assert_eq!(lengths(script(&[("a", 1), ("b", 2), ("b", 3), ("c", 4)])), [4]);
        assert_eq!(lengths(script(&[("a", 1); 23])), [16, 4, 3]);
        assert_eq!(lengths(script(&[&[("a", 1)][..], &[("b", 1); 5], &[("c", 1)]].concat())), [1, 4, 2]);
        assert_eq!(lengths(script(&[("a", 1); 130])), [64, 64, 2]);
    }
}
