//! Statements that go to the database together.
//!
//! In: statements with their values, in order, and what each must do. Out: for each, what it did; where one does not do what it
//! must, none after it is run. SQLite gets them in few messages, for a message to the thread of its connection costs more
//! than most statements; PostgreSQL gets them one by one.

use std::fmt::Write;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Executor, Row};

use super::dialect::{BEGIN_WRITE, Either, Sql, Tx};

/// How many scripts that are alike go in one message. There are few lengths, so that few messages are kept prepared.
const LENGTHS: [usize; 5] = [64, 16, 4, 3, 2];

/// Statements in a message of several scripts, at most: each is kept prepared with all of them.
const MOST: usize = 64;

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

/// What a statement must do for those after it to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Must {
    /// Anything.
    Run,
    /// Write one row, neither more nor less.
    WriteOne,
    /// Find a row. Only a query.
    Find,
}

impl Must {
    fn is_met(self, done: Done) -> bool {
        match self {
            Self::Run => true,
            Self::WriteOne => done.written == 1,
            Self::Find => done.number.is_some(),
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

/// What each statement did, if all ran.
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

#[derive(Debug)]
struct Step {
    sql: Sql,
    values: Vec<Value>,
    must: Must,
}

/// Where a script stands in its transaction, on SQLite.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// The transaction begins with it.
    pub(super) begins: bool,
    /// The transaction is committed with it.
    pub(super) commits: bool,
}

/// Statements that go together.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Step>);

impl Script {
    /// Adds a statement and its values.
    pub(super) fn add(&mut self, sql: impl Into<Sql>, values: Vec<Value>) {
        self.must(Must::Run, sql, values);
    }

    /// Adds one that must do something.
    pub(super) fn must(&mut self, must: Must, sql: impl Into<Sql>, values: Vec<Value>) {
        self.0.push(Step { sql: sql.into(), values, must });
    }

    /// Runs it in a transaction.
    pub(super) async fn run(self, tx: &mut Tx) -> Ran {
        run(vec![self], tx).await
    }

    /// Its statements, by which scripts are alike.
    pub(super) fn shape(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|step| step.sql.sqlite)
    }
}

/// Runs scripts in a transaction.
pub(super) async fn run(scripts: Vec<Script>, tx: &mut Tx) -> Ran {
    match tx {
        Either::Sqlite(tx) => on_sqlite(scripts, tx, Bounds::default()).await,
        Either::Pg(tx) => on_postgres(scripts, tx).await,
    }
}

/// Runs scripts on PostgreSQL, one statement after the other.
pub(super) async fn on_postgres(scripts: Vec<Script>, on: &mut sqlx::PgConnection) -> Ran {
    let mut done = Vec::new();
    for step in scripts.into_iter().flat_map(|script| script.0) {
        send!(on, step.sql.pg, step.values, done);
        if done.last().is_some_and(|last| !step.must.is_met(*last)) {
            return Err(Stopped::Unmet(step.must));
        }
    }
    Ok(done)
}

/// Runs scripts on SQLite, neighbours that are alike in one message.
pub(super) async fn on_sqlite(scripts: Vec<Script>, on: &mut sqlx::SqliteConnection, bounds: Bounds) -> Ran {
    let mut all = Vec::new();
    for Message { text, values, parts } in messages(scripts, bounds) {
        let mut done = Vec::with_capacity(parts.len());
        let sent: sqlx::Result<()> = async {
            send!(on, AssertSqlSafe(text), values, done);
            // The answers end also where the thread of the connection does.
            if done.len() == parts.len() { Ok(()) } else { Err(sqlx::Error::WorkerCrashed) }
        }
        .await;
        if let Err(error) = sent {
            return Err(unmet(&error, parts.get(done.len())).map_or(Stopped::Failed(error), Stopped::Unmet));
        }
        all.extend(done.iter().zip(&parts).filter(|(_, part)| part.is_step()).map(|(done, _)| *done));
    }
    Ok(all)
}

/// The messages of scripts. What begins and commits goes with them if they are one.
fn messages(scripts: Vec<Script>, bounds: Bounds) -> Vec<Message> {
    let mut groups = Vec::new();
    let mut rest = scripts;
    while !rest.is_empty() {
        let alike = rest.iter().take_while(|script| script.shape().eq(rest[0].shape())).count();
        let fits = |length: &&usize| **length <= alike && *length * rest[0].0.len() <= MOST;
        let later = rest.split_off(LENGTHS.iter().find(fits).copied().unwrap_or(1));
        groups.push(std::mem::replace(&mut rest, later));
    }
    if groups.len() == 1 {
        return groups.into_iter().map(|group| Message::of(group, bounds)).collect();
    }
    let begin = bounds.begins.then(|| Message::of(Vec::new(), Bounds { commits: false, ..bounds }));
    let commit = bounds.commits.then(|| Message::of(Vec::new(), Bounds { begins: false, ..bounds }));
    let between = groups.into_iter().map(|group| Message::of(group, Bounds::default()));
    begin.into_iter().chain(between).chain(commit).collect()
}

/// What is one statement of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// One of the script's.
    Step(Must),
    /// Sees whether the one before it did what it must.
    Guard(Must),
    /// Begins or commits.
    Bound,
}

impl Part {
    fn is_step(self) -> bool {
        matches!(self, Self::Step(_))
    }
}

/// What the part at which a message stopped was to see to, if that is why.
fn unmet(error: &sqlx::Error, part: Option<&Part>) -> Option<Must> {
    let (Part::Guard(must) | Part::Step(must @ Must::Find)) = part? else { return None };
    let refused = error.as_database_error().is_some_and(|error| error.message().contains(OVERFLOW));
    refused.then_some(*must)
}

/// Around a condition that must hold. SQLite has no word for refusing outside of triggers; its smallest number has no absolute value.
const REFUSE_UNLESS: [&str; 2] = ["SELECT abs(CASE WHEN ", " THEN 0 ELSE -9223372036854775808 END)"];

/// What SQLite says then.
const OVERFLOW: &str = "integer overflow";

/// What goes to SQLite in one go.
struct Message {
    text: String,
    values: Vec<Value>,
    parts: Vec<Part>,
}

impl Message {
    /// The statements as one text, their values numbered through.
    fn of(scripts: Vec<Script>, bounds: Bounds) -> Self {
        let mut message = Self { text: String::new(), values: Vec::new(), parts: Vec::new() };
        if bounds.begins {
            message.text.push_str(BEGIN_WRITE.sqlite);
            message.end(Part::Bound);
        }
        let [unless, refuse] = REFUSE_UNLESS;
        for step in scripts.into_iter().flat_map(|script| script.0) {
            let [before, open, close, after] =
                if step.must == Must::Find { [unless, "EXISTS (", ")", refuse] } else { [""; 4] };
            message.text.extend([before, open]);
            message.numbered(step.sql.sqlite);
            message.text.extend([close, after]);
            message.end(Part::Step(step.must));
            if step.must == Must::WriteOne {
                message.text.extend([unless, "changes() = 1", refuse]);
                message.end(Part::Guard(step.must));
            }
            message.values.extend(step.values);
        }
        if bounds.commits {
            message.text.push_str("COMMIT");
            message.end(Part::Bound);
        }
        message
    }

    fn end(&mut self, part: Part) {
        self.text.push(';');
        self.parts.push(part);
    }

    /// A statement whose values come after those that are there.
    fn numbered(&mut self, sql: &str) {
        let mut parts = sql.split('$');
        self.text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let number: usize = part[..digits].parse().unwrap_or_default();
            // Writing to a text does not fail.
            let _ = write!(self.text, "${}{}", self.values.len() + number, &part[digits..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(statements: &[(&'static str, i64)]) -> Script {
        let mut script = Script::default();
        for (sql, value) in statements {
            script.add(*sql, values![*value]);
        }
        script
    }

    #[test]
    fn the_values_of_a_message_are_numbered_through() {
        let one = script(&[("UPDATE a SET b = $1 WHERE c = $1 + 1", 7), ("DELETE FROM a", 8)]);
        let message = Message::of(vec![one, script(&[("SELECT $1", 9)])], Bounds::default());
        assert_eq!(message.text, "UPDATE a SET b = $1 WHERE c = $1 + 1;DELETE FROM a;SELECT $3;");
        assert_eq!(message.values.len(), 3);
    }

    #[test]
    fn a_message_says_what_must_be_and_where_its_transaction_begins_and_ends() {
        let mut script = Script::default();
        script.must(Must::Find, "SELECT a FROM b WHERE c = $1", values![1]);
        script.must(Must::WriteOne, "DELETE FROM a WHERE b = $1", values![2]);
        let message = Message::of(vec![script], Bounds { begins: true, commits: true });
        let [unless, refuse] = REFUSE_UNLESS;
        assert_eq!(
            message.text,
            format!(
                "BEGIN IMMEDIATE;{unless}EXISTS (SELECT a FROM b WHERE c = $1){refuse};DELETE FROM a WHERE b = $2;\
                 {unless}changes() = 1{refuse};COMMIT;"
            )
        );
        let (find, one) = (Must::Find, Must::WriteOne);
        assert_eq!(message.parts, [Part::Bound, Part::Step(find), Part::Step(one), Part::Guard(one), Part::Bound]);
    }

    #[test]
    fn messages_have_few_lengths() {
        let parts = |scripts: Vec<Script>| {
            let bounds = Bounds { begins: true, commits: true };
            messages(scripts, bounds).iter().map(|message| message.parts.len()).collect::<Vec<_>>()
        };
        let of = |count: usize, statements: &[(&'static str, i64)]| -> Vec<Script> {
            (0..count).map(|_| script(statements)).collect()
        };
        assert_eq!(parts(of(3, &[("a", 1)])), [5], "one message begins and commits");
        assert_eq!(parts(of(23, &[("a", 1)])), [1, 16, 4, 3, 1]);
        let different = [of(2, &[("a", 1)]), of(1, &[("b", 1)])].into_iter().flatten().collect();
        assert_eq!(parts(different), [1, 2, 1, 1]);
        assert_eq!(parts(of(20, &[("a", 1); 10])), [1, 40, 40, 40, 40, 40, 1], "no message has too many");
        assert_eq!(parts(Vec::new()), [1, 1]);
    }
}
