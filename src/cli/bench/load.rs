//! Sends webhooks to the service: as fast as so many connections can (closed loop), or so many a second (open loop).
//!
//! In: what to send. Out: how many were accepted, when each was sent, and how long an answer took. In an open loop a latency
//! counts from when the request should have been sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::clock::{Clock, Millis, SystemClock};
use crate::model::System;
use crate::sandbox::settings::Workspace;
use crate::sandbox::shell::canned::{DIGITS, MARK, micros};
use crate::sandbox::signing::Signer;
use crate::sandbox::{SandboxSettings, StandIn};

/// The bytes of a body.
const SIZE: usize = 1_024;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Edits of contacts, by an extension that tells versions (HMAC-SHA256).
    Edits,
    /// Contacts, likewise.
    Contacts,
    /// What is kept and mirrored nowhere, signed with HMAC-SHA256.
    KeptHmac,
    /// The same, signed with Ed25519.
    KeptEd25519,
}

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many connections, each sending when it was answered.
    Closed(usize),
    /// So many a second, over as many connections as that takes.
    Open(u32),
}

/// Who sends.
#[derive(Clone)]
pub struct Sender {
    client: reqwest::Client,
    /// Where each replica is reached.
    bases: Arc<Vec<String>>,
    signer: Arc<Signer>,
    workspaces: Arc<Vec<Workspace>>,
    /// The app that GHL's webhooks name.
    app: Arc<str>,
    /// How many contacts each workspace has.
    contacts: u64,
    /// The number of the next webhook; none is sent twice.
    next: Arc<Mutex<u64>>,
}

/// What a load came to.
#[derive(Debug, Default)]
pub struct Load {
    /// Accepted webhooks: number, microseconds since 1970 when it was sent.
    pub sent: Vec<(u64, i64)>,
    /// How long each answer took.
    pub took: Vec<Duration>,
    /// Those that were not accepted.
    pub refused: u64,
    /// From the first to the last.
    pub span: Duration,
}

impl Load {
    fn add(&mut self, other: Self) {
        self.sent.extend(other.sent);
        self.took.extend(other.took);
        self.refused += other.refused;
    }
}

impl Sender {
    /// Sends to the replicas at `bases` in turn.
    pub fn new(bases: Vec<String>, settings: SandboxSettings, contacts: u64) -> Result<Self> {
        let client =
            reqwest::Client::builder().no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(30)).build()?;
        let (signer, app) = (Arc::new(Signer::new(&settings)?), settings.ghl.app_id.into());
        let workspaces = Arc::new(settings.workspaces);
        Ok(Self { client, bases: Arc::new(bases), signer, workspaces, app, contacts, next: Arc::default() })
    }

    /// How many contacts there are in all workspaces.
    pub fn all_contacts(&self) -> u64 {
        self.contacts * self.workspaces.len() as u64
    }

    /// Makes all contacts.
    pub async fn contacts(&self) -> Result<Load> {
        let (from, all) = (*self.next.lock().unwrap_or_else(PoisonError::into_inner), self.all_contacts());
        let load = self.closed(What::Contacts, 16, move |number, _| number < from + all).await?;
        ensure!(load.refused == 0, "{} webhooks of the contacts were refused", load.refused);
        Ok(load)
    }

    /// Sends for so long.
    pub async fn send(&self, what: What, pace: Pace, lasts: Duration) -> Result<Load> {
        match pace {
            Pace::Closed(connections) => self.closed(what, connections, move |_, begun| begun.elapsed() < lasts).await,
            Pace::Open(rate) => self.open(what, rate, lasts).await,
        }
    }

    async fn closed(
        &self,
        what: What,
        connections: usize,
        more: impl Fn(u64, Instant) -> bool + Clone + Send + 'static,
    ) -> Result<Load> {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (sender, more) = (self.clone(), more.clone());
                tokio::spawn(async move {
                    let mut load = Load::default();
                    loop {
                        let turn = sender.turn();
                        if !more(turn.0, begun) {
                            return load;
                        }
                        sender.one(what, turn, Instant::now(), &mut load).await;
                    }
                })
            })
            .collect();
        gather(tasks, begun).await
    }

    async fn open(&self, what: What, rate: u32, lasts: Duration) -> Result<Load> {
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for at in 0..(lasts.as_secs_f64() * f64::from(rate)) as u32 {
            let due = begun + Duration::from_secs(1) * at / rate;
            tokio::time::sleep_until(due.into()).await;
            let (sender, turn) = (self.clone(), self.turn());
            tasks.push(tokio::spawn(async move {
                let mut load = Load::default();
                sender.one(what, turn, due, &mut load).await;
                load
            }));
        }
        gather(tasks, begun).await
    }

    async fn one(&self, what: What, (number, at): (u64, Millis), due: Instant, load: &mut Load) {
        let sent = micros();
        if self.post(what, number, at).await {
            load.sent.push((number, sent));
            load.took.push(due.elapsed());
        } else {
            load.refused += 1;
        }
    }

    /// The number of the next webhook and its time: who has the higher number has no earlier time.
    fn turn(&self) -> (u64, Millis) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        (*next - 1, SystemClock.now())
    }

    /// How many workspaces there are.
    pub fn workspaces(&self) -> usize {
        self.workspaces.len()
    }

    /// Which workspace a webhook is of.
    pub fn workspace(&self, number: u64) -> usize {
        (number % self.workspaces.len() as u64) as usize
    }

    /// Sends one that was made then; whether it was accepted.
    pub async fn post(&self, what: What, number: u64, at: Millis) -> bool {
        let workspace = &self.workspaces[self.workspace(number)];
        // Each replica gets webhooks of each workspace, whoever holds its lease.
        let turn = number / self.workspaces.len() as u64;
        let base = &self.bases[(turn % self.bases.len() as u64) as usize];
        let body = body(what, number, at, self.all_contacts(), &self.app);
        let (from, path) = match what {
            What::KeptEd25519 => (StandIn::vendor(System::Ghl), "webhooks/ghl".to_owned()),
            _ => (StandIn::extension(System::Timerex), format!("webhooks/timerex/{}", workspace.name)),
        };
        let id = format!("msg_{number}");
        let headers = self.signer.headers(from, &workspace.timerex_team, &id, SystemClock.now(), body.as_bytes());
        let post = self.client.post(format!("{base}/{path}")).header("content-type", "application/json");
        let post = headers.iter().fold(post, |post, (name, value)| post.header(name, value));
        match post.body(body).send().await {
            // Read to its end, or the connection is not used again.
            Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
            Err(_) => false,
        }
    }
}

async fn gather(tasks: Vec<tokio::task::JoinHandle<Load>>, begun: Instant) -> Result<Load> {
    let mut load = Load::default();
    for task in tasks {
        load.add(task.await?);
    }
    load.span = begun.elapsed();
    Ok(load)
}

/// A body of 1 KiB. Edits go round all contacts, so that two of one contact are as far apart as can be.
fn body(what: What, number: u64, at: Millis, contacts: u64, app: &str) -> String {
    let now = at.rfc3339();
    let object = json!({ "id": format!("c{}", number % contacts.max(1)), "lastUpdated": now });
    let mut body = match what {
        What::KeptEd25519 => {
            json!({ "type": "InvoicePaid", "appId": app, "webhookId": format!("w{number}"), "timestamp": now })
        }
        What::KeptHmac => json!({ "type": "invoice.paid", "timestamp": now, "data": object }),
        What::Edits => json!({ "type": "contact.updated", "timestamp": now, "data": object }),
        What::Contacts => json!({ "type": "contact.created", "timestamp": now, "data": object }),
    };
    match what {
        What::Edits => body["data"]["address"] = json!({ "city": mark(number) }),
        What::Contacts => {
            body["data"]["firstName"] = json!("Aiko");
            body["data"]["email"] = json!(format!("c{number}@bench.test"));
            body["data"]["address"] = json!({ "city": "Kobe" });
        }
        What::KeptHmac | What::KeptEd25519 => {}
    }
    pad(body)
}

fn mark(number: u64) -> Value {
    json!(format!("{MARK}{number:0DIGITS$}"))
}

/// With a key that nobody knows, up to the size.
fn pad(mut body: Value) -> String {
    let without = body.to_string().len() + r#","padding":"""#.len();
    body["padding"] = json!("x".repeat(SIZE.saturating_sub(without)));
    body.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_has_one_size_and_edits_go_round_the_contacts() {
        for what in [What::Edits, What::Contacts, What::KeptHmac, What::KeptEd25519] {
            assert_eq!(body(what, 7, Millis(0), 5, "app").len(), SIZE);
        }
        let edit: Value = serde_json::from_str(&body(What::Edits, 7, Millis(0), 5, "app")).unwrap();
        assert_eq!((&edit["data"]["id"], &edit["data"]["address"]["city"]), (&json!("c2"), &json!("bid0000000007")));
    }
}
