//! Hard times for one process: a disk that takes no more, a file that it may not write, a database server that is not there,
//! no descriptors left, and ten thousand connections of people who mean no good. What is acknowledged is stored, what is not
//! is refused with a reason, and when the hard times are over it goes on.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use lockstep::model::System;
use lockstep::sandbox::StandIn;
use lockstep::sandbox::settings::SandboxSettings;
use lockstep::sandbox::signing::Signer;
use reqwest::Client;
use rlimit::Resource;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kill::installs::Reach;
use super::kill::{sandbox_settings, service};
use crate::support::ledger::Ledger;
use crate::support::postgres::Cluster;
use crate::support::service::{Service, free_port};
use crate::support::stage::Stage;
use crate::support::world::now;

/// Connections that are open at once, where the limit of open files allows it.
const CROWD: usize = 9_900;

/// A service of its own, and somebody honest who sends it webhooks of GHL.
struct Hardship {
    service: Service,
    stage: Stage,
    settings: SandboxSettings,
    signer: Signer,
    client: Client,
    port: u16,
    url: String,
    folder: TempDir,
    /// The webhooks that were acknowledged, by their ids.
    acknowledged: BTreeSet<String>,
}

impl Hardship {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("lockstep.db").display());
        Self::on(url, folder).await
    }

    async fn on(url: String, folder: TempDir) -> Self {
        let port = free_port();
        let settings = sandbox_settings(SandboxSettings::example(), 1, port);
        let stage = Stage::start(settings.clone()).await;
        let service = service(&settings, &stage, &url, folder.path(), port, Reach::Tokens);
        let signer = Signer::new(&settings).unwrap();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        let acknowledged = BTreeSet::new();
        Self { service, stage, settings, signer, client, port, url, folder, acknowledged }
    }

    /// Starts it, behind these words of a command; returns when it answers.
    async fn start(&mut self, behind: &[&str]) {
        self.service.start_behind(behind);
        self.answers().await;
    }

    async fn answers(&self) {
        let began = Instant::now();
        while self.health().await.is_none() {
            assert!(began.elapsed() < Duration::from_secs(20), "it never answered");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn health(&self) -> Option<u16> {
        let answer = self.client.get(format!("http://127.0.0.1:{}/health", self.port)).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    /// Sends a webhook of this size; what is answered, and in which words.
    async fn send(&mut self, id: &str, size: usize) -> Option<(u16, String)> {
        let app = &self.settings.ghl.app_id;
        let body = json!({
            "type": "ContactUpdate", "locationId": self.stage.account.ghl_location, "versionId": app, "appId": app,
            "id": "nobody", "timestamp": now().rfc3339(), "webhookId": id, "notes": "x".repeat(size)
        });
        let body = body.to_string();
        let signed = self.signer.headers(StandIn::vendor(System::Ghl), "", "", now(), body.as_bytes());
        let request = self.client.post(format!("http://127.0.0.1:{}/webhooks/ghl", self.port)).body(body);
        let request = request.header("content-type", "application/json");
        let answer = signed.iter().fold(request, |request, (name, value)| request.header(name, value)).send().await;
        let answer = answer.ok()?;
        let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap_or_default());
        if status == 200 {
            self.acknowledged.insert(id.to_owned());
        }
        Some((status, body))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("service.log")).unwrap()
    }

    /// What was acknowledged is there; how many rows there are.
    async fn assert_kept(&self) -> usize {
        let ledger = Ledger::open(&self.url, self.folder.path()).await;
        let keys: BTreeSet<String> = ledger
            .changes()
            .await
            .into_iter()
            .filter_map(|(key, _)| Some(key.rsplit('/').next()?.to_owned()))
            .collect();
        ledger.close().await;
        let lost: Vec<&String> = self.acknowledged.difference(&keys).collect();
        assert!(lost.is_empty(), "acknowledged, and not stored: {lost:?}");
        keys.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_disk_takes_no_more_nothing_is_acknowledged_and_afterwards_it_goes_on() {
    let mut hard = Hardship::new().await;
    // No file may grow beyond 4 MB; who tries is told so, and not killed.
    hard.start(&["sh", "-c", r#"trap "" XFSZ; ulimit -S -f 8192; exec "$0" "$@""#]).await;
    let mut refused = Vec::new();
    for number in 0..1_000 {
        let (status, said) = hard.send(&format!("full-{number}"), 8_000).await.expect("it answers");
        if status != 200 {
            refused.push((status, said));
        }
        if refused.len() == 10 {
            break;
        }
    }
    let (status, said) = refused.first().expect("the limit was reached");
    let said: Value = serde_json::from_str(said).unwrap();
    assert_eq!((*status, said["code"].as_str()), (429, Some("not_stored")), "{said}");
    assert!(hard.acknowledged.len() > 20, "{}", hard.acknowledged.len());
    assert_eq!(hard.health().await, Some(200), "it lives");
    let log = hard.log();
    assert!(log.contains("could not be stored") && log.contains("disk"), "{log}");

    hard.service.limit(Resource::FSIZE, rlimit::INFINITY);
    assert_eq!(hard.send("after", 8_000).await.map(|(status, _)| status), Some(200));
    hard.service.kill();
    hard.assert_kept().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_not_be_written_is_named_at_the_start() {
    let mut hard = Hardship::new().await;
    hard.start(&[]).await;
    assert_eq!(hard.send("before", 10).await.map(|(status, _)| status), Some(200));
    hard.service.kill();
    let file = hard.folder.path().join("lockstep.db");
    let may = |path: &std::path::Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    may(&file, 0o444);
    // Root may do everything, unless it gives that up.
    hard.service.start_behind(&["setpriv", "--bounding-set=-all", "--inh-caps=-all"]);
    let ended = hard.service.ended(Duration::from_secs(20)).await;
    may(&file, 0o644);
    assert!(!ended.success());
    let log = hard.log();
    assert!(log.contains("/lockstep.db: Permission denied"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    hard.start(&[]).await;
    assert_eq!(hard.send("after", 10).await.map(|(status, _)| status), Some(200));
    hard.service.kill();
    assert_eq!(hard.assert_kept().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_descriptor_is_left_who_is_in_is_served_and_who_waits_comes_in_later() {
    let mut hard = Hardship::new().await;
    hard.start(&[]).await;
    assert_eq!(hard.send("before", 10).await.map(|(status, _)| status), Some(200));
    let usual = hard.service.limit(Resource::NOFILE, 3);
    let mut outside = TcpStream::connect(("127.0.0.1", hard.port)).await.unwrap();
    outside.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let (mut bytes, moment) = (vec![0; 4_096], Duration::from_millis(1_500));
    assert!(tokio::time::timeout(moment, outside.read(&mut bytes)).await.is_err(), "nobody lets it in");
    // The connection of before is still there.
    assert_eq!(hard.send("meanwhile", 10).await.map(|(status, _)| status), Some(200));
    hard.service.limit(Resource::NOFILE, usual);
    let count = tokio::time::timeout(Duration::from_secs(10), outside.read(&mut bytes)).await.unwrap().unwrap();
    assert!(bytes[..count].starts_with(b"HTTP/1.1 200"));
    assert_eq!(hard.send("after", 10).await.map(|(status, _)| status), Some(200));
    assert!(hard.log().contains("raise the limit of open files"), "{}", hard.log());
    hard.service.kill();
    assert_eq!(hard.assert_kept().await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(
    postgres_missing,
    ignore = "no PostgreSQL: apt-get install postgresql, or set TEST_POSTGRES_URL=postgres://USER@HOST/DATABASE; then \
              cargo test"
)]
async fn a_server_that_starts_late_or_goes_away_is_waited_for_on_postgres() {
    // Without its programs here, the server is another's, which nobody may stop.
    let Some(cluster) = Cluster::own().await else { return };
    let mut hard = Hardship::on(cluster.url.clone(), tempfile::tempdir().unwrap()).await;
    cluster.kill();
    hard.service.start();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(hard.health().await, None, "nothing can be stored yet");
    cluster.start();
    hard.answers().await;
    assert!(hard.log().contains("the database does not answer"), "{}", hard.log());
    assert_eq!(hard.send("before", 10).await.map(|(status, _)| status), Some(200));

    cluster.kill();
    let (status, said) = hard.send("meanwhile", 10).await.expect("it answers");
    assert_eq!(status, 429, "{said}");
    assert_eq!(hard.health().await, Some(200), "it lives");
    cluster.start();
    let began = Instant::now();
    while hard.send("after", 10).await.is_none_or(|(status, _)| status != 200) {
        assert!(began.elapsed() < Duration::from_secs(20), "it never went on");
    }
    hard.service.kill();
    assert_eq!(hard.assert_kept().await, 2);
}

/// Somebody who means no good.
#[derive(Debug, Clone, Copy)]
enum Foe {
    /// Says nothing.
    Silent,
    /// Begins a head and does not end it.
    HalfHead,
    /// Begins a body and does not end it.
    HalfBody,
}

async fn foe(port: u16, how: Foe) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let said: &[u8] = match how {
        Foe::Silent => b"",
        Foe::HalfHead => b"POST /webhooks/ghl HTTP/1.1\r\nhost: x\r\nx-ghl-signature: ",
        Foe::HalfBody => b"POST /webhooks/ghl HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n{",
    };
    stream.write_all(said).await.unwrap();
    stream
}

/// Sends a body that has no end, as fast as it goes; what is answered.
async fn endless(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = b"POST /webhooks/ghl HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    let (mut from, mut to) = stream.split();
    let sending = async { while to.write_all(&chunk).await.is_ok() {} };
    let mut bytes = vec![0; 4_096];
    let heard = async { from.read(&mut bytes).await.unwrap_or(0) };
    let (count, ()) = tokio::join!(heard, sending);
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_and_endless_bodies_do_not_keep_an_honest_sender_out() {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let crowd = CROWD.min(usize::try_from(files).unwrap().saturating_sub(600));
    let mut hard = Hardship::new().await;
    hard.start(&[]).await;
    assert_eq!(hard.send("before", 10).await.map(|(status, _)| status), Some(200));
    let mut open = Vec::new();
    for number in 0..crowd {
        let how = [Foe::Silent, Foe::HalfHead, Foe::HalfBody][number % 3];
        open.push(foe(hard.port, how).await);
    }
    let mut slowest = Duration::ZERO;
    for number in 0..20 {
        let began = Instant::now();
        assert_eq!(hard.send(&format!("amid-{number}"), 1_000).await.map(|(status, _)| status), Some(200));
        slowest = slowest.max(began.elapsed());
        let said = endless(hard.port).await;
        assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    }
    let memory = hard.service.memory();
    println!("{crowd} connections: an honest webhook in {slowest:?} at most, {} MB", memory >> 20);
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert!(memory < 300 << 20, "{memory} bytes");
    drop(open);
    hard.service.kill();
    assert_eq!(hard.assert_kept().await, 21);
}
