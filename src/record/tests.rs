//! A change log in memory, and what placing and group commit promise.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use rstest::rstest;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;
use crate::clock::{Millis, SystemClock};
use crate::model::{Change, ChangeId, EntityId, ExternalId, Standing, System, Workspace};
use crate::secret::Secret;
use crate::store::Result as StoreResult;
use crate::systems::Envelope;
use crate::verify::{Check, Keys, RawWebhook, TokenDigest, VerifiedWebhook, verify};

/// Keeps changes in memory as a store would: all of a batch or none, a key only once.
#[derive(Debug)]
pub(crate) struct MemoryLog {
    pub rows: Mutex<Vec<NewChange>>,
    pub transactions: AtomicUsize,
    pub is_down: AtomicBool,
    /// A permit lets one transaction through.
    pub gate: Semaphore,
    /// A change with this label is refused by the store.
    pub refused: &'static str,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self {
            rows: Mutex::default(),
            transactions: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
            gate: Semaphore::new(1_000),
            refused: "a label that no change has",
        }
    }
}

#[async_trait]
impl ChangeLog for MemoryLog {
    async fn append(&self, changes: &[NewChange]) -> StoreResult<Vec<Appended>> {
        self.gate.acquire().await.unwrap().forget();
        self.transactions.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("down".into()));
        }
        if changes.iter().any(|change| change.label == self.refused) {
            return Err(StoreError::Statement("refused".into()));
        }
        let mut rows = self.rows.lock().unwrap();
        let mut one = |change: &NewChange| {
            if let Some(at) = rows.iter().position(|row| row.dedup == change.dedup) {
                return Appended::Duplicate(ChangeId(at as i64));
            }
            rows.push(change.clone());
            Appended::New(ChangeId(rows.len() as i64 - 1))
        };
        Ok(changes.iter().map(&mut one).collect())
    }
    async fn change(&self, _: ChangeId) -> StoreResult<Option<Change>> {
        Ok(None)
    }
    async fn undecided(&self, _: &str, _: Millis, _: u32) -> StoreResult<Vec<Change>> {
        Ok(Vec::new())
    }
    async fn waiting(&self, _: EntityId, _: System) -> StoreResult<Vec<(Change, i64)>> {
        Ok(Vec::new())
    }
    async fn told_of_installs(&self, _: System, _: ChangeId, _: u32) -> StoreResult<Vec<Change>> {
        Ok(Vec::new())
    }
    async fn by_standing(&self, _: Standing, _: u32) -> StoreResult<Vec<Change>> {
        Ok(Vec::new())
    }
}

/// What a webhook is made from.
struct Sent<'a> {
    system: System,
    path: Option<&'a str>,
    speaks_for: &'a [&'a str],
    extension: bool,
}

const GHL: Sent<'_> = Sent { system: System::Ghl, path: None, speaks_for: &["one", "two"], extension: false };
const TIMIFY: Sent<'_> = Sent { system: System::Timify, path: None, speaks_for: &["one"], extension: false };

fn webhook(sent: &Sent<'_>) -> VerifiedWebhook {
    let check = Check {
        credential: "connection:x".to_owned(),
        speaks_for: sent.speaks_for.iter().map(|name| (*name).to_owned()).collect(),
        extension: sent.extension,
        header: Some(HeaderName::from_static("x-token")),
        keys: Keys::StaticToken(vec![TokenDigest::of(&Secret::new("token"))]),
        until: None,
        rule: None,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-token", "token"), ("content-type", "text/plain"), ("cookie", "a"), ("user-agent", "u")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let workspace = sent.path.map(ToOwned::to_owned);
    let raw = RawWebhook { system: sent.system, workspace, headers, body: Bytes::from("body"), received: Millis(5) };
    verify(&[check], raw, Millis(5)).unwrap()
}

fn envelope(account: Option<&str>) -> Envelope {
    let account = account.map(ToOwned::to_owned);
    let object = Some(ExternalId::new("object"));
    Envelope { account, object, standing: Standing::Routed, reason: None, ..Envelope::unparsed("") }
}

fn directory() -> Directory {
    let workspace = |name: &str| Workspace {
        name: name.to_owned(),
        accounts: System::ALL.iter().map(|system| (*system, format!("{system}-{name}"))).collect(),
        ..Workspace::default()
    };
    Directory::of(&["one", "two", "three"].map(workspace))
}

fn placed(sent: &Sent<'_>, envelope: Envelope) -> NewChange {
    place(&webhook(sent), envelope, &directory(), Uuid::from_u128(7))
}

const ONLY_PATH: Sent<'_> = Sent { path: Some("one"), ..TIMIFY };
const OTHER_PATH: Sent<'_> = Sent { path: Some("two"), ..TIMIFY };

#[rstest]
#[case::by_account(GHL, Some("ghl-two"), Some("two"))]
#[case::account_and_path_agree(Sent { path: Some("two"), ..GHL }, Some("ghl-two"), Some("two"))]
#[case::account_and_path_disagree(Sent { path: Some("one"), ..GHL }, Some("ghl-two"), None)]
#[case::unknown_account(GHL, Some("ghl-nobody"), None)]
#[case::account_of_another_system(GHL, Some("timify-one"), None)]
#[case::foreign_account(GHL, Some("ghl-three"), None)]
#[case::ghl_without_account(GHL, None, None)]
#[case::ghl_without_account_by_path(Sent { path: Some("one"), ..GHL }, None, None)]
#[case::unknown_path(Sent { path: Some("nobody"), ..GHL }, Some("ghl-one"), None)]
#[case::timify_by_path(ONLY_PATH, None, Some("one"))]
#[case::timify_by_foreign_path(OTHER_PATH, None, None)]
#[case::timify_by_its_only_workspace(TIMIFY, None, Some("one"))]
#[case::timify_of_several(Sent { speaks_for: &["one", "two"], ..TIMIFY }, None, None)]
#[case::timify_of_none(Sent { speaks_for: &[], ..TIMIFY }, None, None)]
#[case::timerex_without_team(Sent { system: System::Timerex, ..TIMIFY }, None, None)]
#[case::timerex_by_path(Sent { system: System::Timerex, ..ONLY_PATH }, None, Some("one"))]
#[case::timerex_by_foreign_path(Sent { system: System::Timerex, ..OTHER_PATH }, None, None)]
#[case::extension(Sent { system: System::Timerex, extension: true, ..TIMIFY }, None, Some("one"))]
fn the_credential_allows_and_path_and_body_only_select(
    #[case] sent: Sent<'_>,
    #[case] account: Option<&str>,
    #[case] expected: Option<&str>,
) {
    let change = placed(&sent, envelope(account));
    assert_eq!(change.workspace.as_deref(), expected, "{:?}", change.reason);
    let standing = if expected.is_some() { Standing::Routed } else { Standing::Unrouted };
    assert_eq!((change.standing, change.reason.is_some()), (standing, expected.is_none()));
}

#[test]
fn what_was_not_read_or_is_not_mirrored_keeps_its_standing() {
    let unparsed = placed(&GHL, Envelope::unparsed("no JSON"));
    assert_eq!((unparsed.standing, unparsed.reason.as_deref()), (Standing::Unparsed, Some("no JSON")));
    let app = Sent { speaks_for: &["one", "two", "three"], ..GHL };
    let install = |account| Envelope { standing: Standing::NotMirrored, ..envelope(account) };
    for account in [None, Some("ghl-nobody")] {
        assert_eq!(placed(&app, install(account)).standing, Standing::NotMirrored);
        let by_one_customers_gateway = placed(&GHL, install(account));
        assert_eq!(by_one_customers_gateway.standing, Standing::Unrouted, "it installs and uninstalls for nobody else");
    }
    assert_eq!(placed(&TIMIFY, install(Some("timify-nobody"))).standing, Standing::NotMirrored);
    let foreign = Envelope { standing: Standing::NotMirrored, ..envelope(Some("ghl-three")) };
    assert_eq!(placed(&GHL, foreign).standing, Standing::Unrouted);
}

#[test]
fn a_repeated_delivery_has_one_key_and_one_without_identity_its_own() {
    let delivery = |id: &str| placed(&GHL, Envelope { delivery: Some(id.to_owned()), ..envelope(None) }).dedup;
    assert_eq!(delivery("hook-1"), "connection:x/hook-1");
    assert_eq!(delivery("hook-1"), delivery("hook-1"));
    let (long, longer) = ("x".repeat(5_000), "x".repeat(5_001));
    assert_ne!(delivery(&long), delivery(&longer));
    assert!(delivery(&long).len() < 100);
    let fresh = |n| place(&webhook(&TIMIFY), envelope(None), &directory(), Uuid::from_u128(n)).dedup;
    assert_ne!(fresh(1), fresh(2));
    assert_eq!(delivery(""), fresh(7));
}

#[test]
fn headers_with_tokens_are_not_kept() {
    let kept = placed(&TIMIFY, envelope(None)).headers;
    let names: Vec<_> = kept.keys().map(String::as_str).collect();
    assert_eq!(names, ["content-type", "user-agent"]);
}

#[test]
fn texts_that_no_database_takes_are_made_fit() {
    let odd = Envelope { label: "a\0b".to_owned(), object: Some(ExternalId::new("x\0")), ..envelope(Some("ghl-one")) };
    let change = placed(&GHL, odd);
    assert_eq!((change.label.as_str(), change.object, change.standing), ("ab", None, Standing::Unparsed));
}

fn change(label: &str) -> NewChange {
    let delivery = Some(label.to_owned());
    placed(&TIMIFY, Envelope { delivery, label: label.to_owned(), ..envelope(None) })
}

fn recorder(log: &Arc<MemoryLog>, waiting: Waiting) -> Recorder {
    let (recorder, writer) = Recorder::new(Arc::clone(log) as Arc<dyn ChangeLog>, waiting, Arc::new(SystemClock));
    tokio::spawn(writer.run(std::future::pending()));
    recorder
}

/// Records all of these side by side.
async fn record_all(recorder: &Recorder, labels: &[&str]) -> Vec<Result<Appended, NotStored>> {
    let start = |label: &&str| {
        let (recorder, change) = (recorder.clone(), change(label));
        tokio::spawn(async move { recorder.record(change).await })
    };
    let tasks: Vec<_> = labels.iter().map(start).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test]
async fn many_waiting_changes_are_one_commit() {
    let log = Arc::new(MemoryLog::default());
    let (recorder, writer) =
        Recorder::new(Arc::clone(&log) as Arc<dyn ChangeLog>, Waiting::default(), Arc::new(SystemClock));
    let (queue, brought) = (recorder.queue.clone(), recorder.brought());
    let all = tokio::spawn(async move { record_all(&recorder, &["a", "b", "c", "d", "a"]).await });
    while queue.max_capacity() - queue.capacity() < 5 {
        tokio::task::yield_now().await;
    }
    tokio::spawn(writer.run(std::future::pending()));
    let results = all.await.unwrap();
    let duplicates = results.iter().filter(|result| matches!(result, Ok(Appended::Duplicate(_)))).count();
    assert_eq!((results.len(), duplicates), (5, 1));
    assert_eq!(log.rows.lock().unwrap().len(), 4);
    assert_eq!(log.transactions.load(Ordering::SeqCst), 1);
    assert_eq!(brought.take().await.len(), 1);
}

#[tokio::test]
async fn the_writer_ends_when_nobody_brings_anything_any_more_and_appends_what_was_brought() {
    let log = Arc::new(MemoryLog::default());
    let (recorder, writer) =
        Recorder::new(Arc::clone(&log) as Arc<dyn ChangeLog>, Waiting::default(), Arc::new(SystemClock));
    let queue = recorder.queue.clone();
    let all = tokio::spawn({
        let recorder = recorder.clone();
        async move { record_all(&recorder, &["a", "b"]).await }
    });
    while queue.max_capacity() - queue.capacity() < 2 {
        tokio::task::yield_now().await;
    }
    writer.run(std::future::ready(())).await;
    assert!(all.await.unwrap().iter().all(Result::is_ok));
    assert_eq!(log.rows.lock().unwrap().len(), 2);
    assert!(matches!(recorder.record(change("c")).await, Err(NotStored::Stopped)));
}

#[tokio::test]
async fn no_answer_comes_before_the_commit() {
    let log = Arc::new(MemoryLog { gate: Semaphore::new(0), ..MemoryLog::default() });
    let recorder = recorder(&log, Waiting::default());
    let mut answer = tokio::spawn(async move { recorder.record(change("a")).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!answer.is_finished());
    log.gate.add_permits(1);
    assert!(matches!((&mut answer).await.unwrap(), Ok(Appended::New(_))));
    assert_eq!(log.rows.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_queue_and_a_slow_store_are_said_at_once() {
    let log = Arc::new(MemoryLog { gate: Semaphore::new(0), ..MemoryLog::default() });
    let patience = Duration::from_millis(30);
    let recorder = recorder(&log, Waiting { queue: 1, batch: 1, patience });
    let results = record_all(&recorder, &["a", "b", "c", "d"]).await;
    assert!(results.contains(&Err(NotStored::Full)), "{results:?}");
    assert!(results.contains(&Err(NotStored::Slow)), "{results:?}");
    assert!(results.iter().all(Result::is_err));
}

#[tokio::test]
async fn a_store_that_is_down_is_not_stored_and_recovers() {
    let log = Arc::new(MemoryLog::default());
    let recorder = recorder(&log, Waiting::default());
    log.is_down.store(true, Ordering::SeqCst);
    assert_eq!(record_all(&recorder, &["a", "b"]).await, [Err(NotStored::Failed), Err(NotStored::Failed)]);
    log.is_down.store(false, Ordering::SeqCst);
    assert!(record_all(&recorder, &["a"]).await[0].is_ok());
}

#[tokio::test]
async fn one_row_that_the_store_refuses_holds_no_other_back() {
    let log = Arc::new(MemoryLog { refused: "bad", ..MemoryLog::default() });
    let (recorder, writer) =
        Recorder::new(Arc::clone(&log) as Arc<dyn ChangeLog>, Waiting::default(), Arc::new(SystemClock));
    let queue = recorder.queue.clone();
    let all = tokio::spawn(async move { record_all(&recorder, &["a", "bad", "c"]).await });
    while queue.max_capacity() - queue.capacity() < 3 {
        tokio::task::yield_now().await;
    }
    tokio::spawn(writer.run(std::future::pending()));
    let results = all.await.unwrap();
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(results[1], Err(NotStored::Failed));
    assert_eq!(log.transactions.load(Ordering::SeqCst), 4);
}
