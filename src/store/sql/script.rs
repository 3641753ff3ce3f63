//! Statements that go to the database together, each with all the rows that it is for.
//!
//! In: rows of values under the statement that takes them, and what each row must lead to. Out: for each statement, what it did;
//! where one does not do what it must, none after it is run. A statement gets its rows as one JSON parameter, so that its text
//! and its plan are the same for one row and for thousands. SQLite gets all statements in one message, for each message to the
//! thread of its connection, and each result, costs more than most statements; PostgreSQL gets them one by one.

use futures_util::TryStreamExt;
use serde::ser::{Serialize, Serializer};
use sqlx::{AssertSqlSafe, Executor, Row};

use super::dialect::{BEGIN_WRITE, Either, Sql, Tx, json};

/// Bytes of rows in one statement; what is more goes in another one. PostgreSQL takes no JSON text of more than 256 MiB.
const MOST: usize = 4 << 20;

/// A value of a row.
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

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            // PostgreSQL refuses a NUL, and SQLite ends the text there.
            Self::Text(Some(text)) if text.contains('\0') => to.serialize_str(&text.replace('\0', "\u{fffd}")),
            Self::Text(text) => text.serialize(to),
            Self::Number(number) => number.serialize(to),
            Self::Flag(flag) => flag.serialize(to),
            Self::Bytes(bytes) => to.serialize_str(&hex::encode(bytes)),
        }
    }
}

impl Value {
    /// The value at a place of the row `r`, as a column of its kind takes it.
    fn at(&self, place: usize, dialect: Dialect) -> String {
        let text = format!("(r.value ->> {place})");
        match (self, dialect) {
            (Self::Text(_), _) | (Self::Number(_) | Self::Flag(_), Dialect::Sqlite) => text,
            (Self::Number(_), Dialect::Pg) => format!("{text}::bigint"),
            (Self::Flag(_), Dialect::Pg) => format!("{text}::boolean"),
            (Self::Bytes(_), Dialect::Sqlite) => format!("unhex({text})"),
            (Self::Bytes(_), Dialect::Pg) => format!("decode({text}, 'hex')"),
        }
    }
}

/// The values of a row, in the order of their numbers.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::store::sql::script::Value::from($value)),*]
    };
}

pub(super) use values;

/// In whose words a statement is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Pg,
}

/// What one statement did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Rows that it wrote. Says nothing where it only reads.
    pub(super) written: u64,
    /// The rows that it gave: a number and a text each.
    pub(super) rows: Vec<(i64, String)>,
}

/// What a statement must do for those after it to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Must {
    /// Anything.
    Run,
    /// Write one row for each of its own.
    WriteEach,
    /// Find one row for each of its own. Only a query; what it finds is not given.
    FindEach,
}

impl Must {
    fn is_met(self, done: &Done, rows: usize) -> bool {
        match self {
            Self::Run => true,
            Self::WriteEach => done.written == rows as u64,
            Self::FindEach => done.rows.len() == rows,
        }
    }
}

/// Why not all statements ran.
#[derive(Debug)]
pub(super) enum Stopped {
    /// One did not do this.
    Unmet(Must),
    /// One failed.
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for Stopped {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

/// What each statement did that is not there to find something, if all ran.
pub(super) type Ran = Result<Vec<Done>, Stopped>;

/// What each statement did, where none must do anything.
pub(super) fn did(ran: Ran) -> sqlx::Result<Vec<Done>> {
    ran.map_err(|stopped| match stopped {
        Stopped::Failed(error) => error,
        Stopped::Unmet(must) => {
            sqlx::Error::Protocol(format!("a statement did not {must:?}, which nobody expects here"))
        }
    })
}

/// A statement and its rows.
#[derive(Debug)]
struct Step {
    sql: Sql,
    must: Must,
    /// One of the rows: all have values of the same kinds.
    like: Vec<Value>,
    /// The rows as JSON, without the last bracket.
    rows: String,
    count: usize,
}

impl Step {
    /// In `$1`, `$2` and so on, a statement names the values of a row; in `$rows` the rows themselves, which become its
    /// parameter of this number.
    fn text(&self, dialect: Dialect, parameter: usize) -> String {
        let (template, rows) = match dialect {
            Dialect::Sqlite => (self.sql.sqlite, format!("(SELECT value FROM json_each(${parameter})) AS r")),
            Dialect::Pg => (self.sql.pg, format!("jsonb_array_elements(${parameter}::jsonb) AS r(value)")),
        };
        let mut parts = template.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let named = part[..digits].parse().ok().and_then(|number: usize| number.checked_sub(1));
            match named.and_then(|place| Some((place, self.like.get(place)?))) {
                Some((place, value)) => text.extend([value.at(place, dialect).as_str(), &part[digits..]]),
                None => text.extend([rows.as_str(), part.strip_prefix("rows").unwrap_or(part)]),
            }
        }
        text
    }

    fn json(mut self) -> String {
        self.rows.push(']');
        self.rows
    }
}

/// Statements that go together, in order.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: Vec<Step>,
    /// Steps before this one get no more rows.
    closed: usize,
}

impl Script {
    /// Adds a row to a statement. A statement comes where its first row came.
    pub(super) fn add(&mut self, sql: impl Into<Sql>, row: Vec<Value>) -> sqlx::Result<()> {
        self.must(Must::Run, sql, row)
    }

    /// Adds one to a statement that must do something.
    pub(super) fn must(&mut self, must: Must, sql: impl Into<Sql>, row: Vec<Value>) -> sqlx::Result<()> {
        let (sql, text) = (sql.into(), json(&row)?);
        let fits = |step: &&mut Step| step.sql == sql && step.rows.len() + text.len() < MOST;
        if let Some(step) = self.steps[self.closed..].iter_mut().find(fits) {
            step.rows.push(',');
            step.rows.push_str(&text);
            step.count += 1;
        } else {
            self.steps.push(Step { sql, must, like: row, rows: format!("[{text}"), count: 1 });
        }
        Ok(())
    }

    /// What is added from here on comes after all that is there.
    pub(super) fn then(&mut self) {
        self.closed = self.steps.len();
    }

    /// Its statements, as SQLite gets them.
    #[cfg(test)]
    pub(super) fn texts(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.text(Dialect::Sqlite, 1)).collect()
    }

    /// Runs it in a transaction.
    pub(super) async fn run(self, tx: &mut Tx) -> Ran {
        match tx {
            Either::Sqlite(tx) => on_sqlite(self, tx, Bounds::default()).await,
            Either::Pg(tx) => on_postgres(self, tx).await,
        }
    }
}

/// Where a script stands in its transaction, on SQLite.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// The transaction begins with it.
    pub(super) begins: bool,
    /// The transaction is committed with it.
    pub(super) commits: bool,
}

/// Sends one message, and keeps what its statements did. The driver calls it deprecated to send several in one: here alone.
macro_rules! send {
    ($on:expr, $text:expr, $values:expr, $done:expr) => {{
        let query = $values.into_iter().fold(sqlx::query(AssertSqlSafe($text)), |query, value| query.bind(value));
        let (mut answers, mut rows) = ($on.fetch_many(query), Vec::new());
        while let Some(answer) = answers.try_next().await? {
            match answer {
                sqlx::Either::Left(result) => {
                    $done.push(Done { written: result.rows_affected(), rows: std::mem::take(&mut rows) })
                }
                sqlx::Either::Right(row) => rows.push((row.try_get(0)?, row.try_get(1)?)),
            }
        }
    }};
}

/// Runs a script on PostgreSQL, one statement after the other.
pub(super) async fn on_postgres(script: Script, on: &mut sqlx::PgConnection) -> Ran {
    let mut done = Vec::with_capacity(script.steps.len());
    for step in script.steps {
        let (must, count) = (step.must, step.count);
        let text = step.text(Dialect::Pg, 1);
        send!(on, text, [step.json()], done);
        if done.last().is_some_and(|last| !must.is_met(last, count)) {
            return Err(Stopped::Unmet(must));
        }
        if must == Must::FindEach {
            done.pop();
        }
    }
    Ok(done)
}

/// Runs a script on SQLite, in one message.
pub(super) async fn on_sqlite(script: Script, on: &mut sqlx::SqliteConnection, bounds: Bounds) -> Ran {
    let Message { text, rows, parts } = Message::of(script, bounds);
    let mut done = Vec::with_capacity(parts.len());
    let sent: sqlx::Result<()> = async {
        send!(on, text, rows, done);
        // The answers end also where the thread of the connection does.
        if done.len() == parts.len() { Ok(()) } else { Err(sqlx::Error::WorkerCrashed) }
    }
    .await;
    match sent {
        Ok(()) => {
            Ok(done.into_iter().zip(&parts).filter(|(_, part)| **part == Part::Step).map(|(done, _)| done).collect())
        }
        Err(error) => Err(unmet(&error, parts.get(done.len())).map_or(Stopped::Failed(error), Stopped::Unmet)),
    }
}

/// What is one statement of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// One of the script's.
    Step,
    /// Sees whether the one before it does what it must, or did it.
    Guard(Must),
    /// Begins or commits.
    Bound,
}

/// What the guard at which a message stopped was to see to, if that is why.
fn unmet(error: &sqlx::Error, part: Option<&Part>) -> Option<Must> {
    let Part::Guard(must) = part? else { return None };
    let refused = error.as_database_error().is_some_and(|error| error.message().contains(OVERFLOW));
    refused.then_some(*must)
}

/// Around a condition that must hold; gives no row. SQLite has no word for refusing outside of triggers; its smallest number has
/// no absolute value.
const REFUSE_UNLESS: [&str; 2] = ["SELECT 0, '' WHERE abs(CASE WHEN ", " THEN 0 ELSE -9223372036854775808 END)"];

/// What SQLite says then.
const OVERFLOW: &str = "integer overflow";

/// What goes to SQLite in one go.
struct Message {
    text: String,
    rows: Vec<String>,
    parts: Vec<Part>,
}

impl Message {
    /// The statements as one text. Each has one parameter.
    fn of(script: Script, bounds: Bounds) -> Self {
        let mut message = Self { text: String::new(), rows: Vec::new(), parts: Vec::new() };
        if bounds.begins {
            message.part(Part::Bound, BEGIN_WRITE.sqlite);
        }
        for step in script.steps {
            let number = message.rows.len() + 1;
            let (text, [unless, refuse]) = (step.text(Dialect::Sqlite, number), REFUSE_UNLESS);
            let count = format!("json_array_length(${number})");
            match step.must {
                Must::Run => message.part(Part::Step, &text),
                Must::WriteEach => {
                    message.part(Part::Step, &text);
                    message.part(Part::Guard(step.must), &format!("{unless}changes() = {count}{refuse}"));
                }
                Must::FindEach => {
                    let found = format!("(SELECT COUNT(*) FROM ({text}))");
                    message.part(Part::Guard(step.must), &format!("{unless}{found} = {count}{refuse}"));
                }
            }
            message.rows.push(step.json());
        }
        if bounds.commits {
            message.part(Part::Bound, "COMMIT");
        }
        message
    }

    fn part(&mut self, part: Part, text: &str) {
        self.text.extend([text, ";"]);
        self.parts.push(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_statement_go_together_and_what_comes_then_comes_after() {
        let mut script = Script::default();
        let (one, other) = ("UPDATE a SET b = $1 + 1 FROM $rows", "DELETE FROM a WHERE b IN (SELECT $1 FROM $rows)");
        for (sql, number) in [(one, 1), (other, 2), (one, 3)] {
            script.add(sql, values![number, "x"]).expect("plain values");
        }
        script.then();
        script.add(one, values![4, None::<&str>]).expect("plain values");
        let message = Message::of(script, Bounds::default());
        let rows = |parameter| format!("(SELECT value FROM json_each(${parameter})) AS r");
        assert_eq!(
            message.text,
            format!(
                "UPDATE a SET b = (r.value ->> 0) + 1 FROM {};DELETE FROM a WHERE b IN (SELECT (r.value ->> 0) FROM {});\
                 UPDATE a SET b = (r.value ->> 0) + 1 FROM {};",
                rows(1),
                rows(2),
                rows(3)
            )
        );
        assert_eq!(message.rows, [r#"[[1,"x"],[3,"x"]]"#, r#"[[2,"x"]]"#, "[[4,null]]"]);
    }

    #[test]
    fn each_kind_of_value_has_its_words_in_each_dialect() {
        let mut script = Script::default();
        script
            .add("SELECT $1, $2, $3, $4 FROM $rows", values!["a\0b", 1, true, &b"\x00\xff"[..]])
            .expect("plain values");
        let step = script.steps.remove(0);
        assert_eq!(
            step.text(Dialect::Pg, 1),
            "SELECT (r.value ->> 0), (r.value ->> 1)::bigint, (r.value ->> 2)::boolean, decode((r.value ->> 3), 'hex') \
             FROM jsonb_array_elements($1::jsonb) AS r(value)"
        );
        assert_eq!(
            step.text(Dialect::Sqlite, 7),
            "SELECT (r.value ->> 0), (r.value ->> 1), (r.value ->> 2), unhex((r.value ->> 3)) \
             FROM (SELECT value FROM json_each($7)) AS r"
        );
        assert_eq!(step.json(), "[[\"a\u{fffd}b\",1,true,\"00ff\"]]", "no database takes a NUL");
    }

    #[test]
    fn a_message_says_what_must_be_and_where_its_transaction_begins_and_ends() {
        let mut script = Script::default();
        script.must(Must::FindEach, "SELECT a, b FROM c", values![1]).expect("plain values");
        script.must(Must::WriteEach, "DELETE FROM a", values![2]).expect("plain values");
        let message = Message::of(script, Bounds { begins: true, commits: true });
        let [unless, refuse] = REFUSE_UNLESS;
        assert_eq!(
            message.text,
            format!(
                "BEGIN IMMEDIATE;{unless}(SELECT COUNT(*) FROM (SELECT a, b FROM c)) = json_array_length($1){refuse};\
                 DELETE FROM a;{unless}changes() = json_array_length($2){refuse};COMMIT;"
            )
        );
        let (find, write) = (Part::Guard(Must::FindEach), Part::Guard(Must::WriteEach));
        assert_eq!(message.parts, [Part::Bound, find, Part::Step, write, Part::Bound]);
    }

    #[test]
    fn a_statement_takes_so_many_bytes_of_rows() {
        let mut script = Script::default();
        for _ in 0..3 {
            script.add("a $1 $rows", values!["x".repeat(MOST / 2 - 100)]).expect("plain values");
        }
        assert_eq!(script.steps.iter().map(|step| step.count).collect::<Vec<_>>(), [2, 1]);
    }
}
