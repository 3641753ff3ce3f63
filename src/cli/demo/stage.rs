//! The stage: the sandbox's control API, called over HTTP like everybody else does, and the service's own numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::app::Running;
use crate::model::Origin;
use crate::sandbox::settings::Workspace as Account;
use crate::store::Load;

/// How long the service may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(30);

/// A write that reached a stand-in: `ghl PUT contact`, `timerex+ POST task` (`+`: the extension).
pub type Writes = BTreeMap<String, usize>;

/// What happened since the last look.
#[derive(Debug, Default, Clone)]
pub struct Traffic {
    /// Calls that changed something.
    pub writes: Writes,
    /// All other calls.
    pub reads: usize,
}

/// The stage.
pub struct Stage {
    client: reqwest::Client,
    control: String,
    app: Arc<Running>,
    /// The accounts of the one workspace.
    pub account: Account,
    seen: u64,
}

impl Stage {
    /// A stage over a sandbox at `base` and a running service.
    pub fn new(base: &str, app: Arc<Running>, account: Account) -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { client, control: format!("{base}/control"), app, account, seen: 0 })
    }

    /// The service.
    pub fn app(&self) -> &Running {
        &self.app
    }

    /// Calls the control API.
    pub async fn control(&self, method: http::Method, path: &str, body: Option<Value>) -> Result<Value> {
        let mut request = self.client.request(method, format!("{}/{path}", self.control));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.with_context(|| format!("the sandbox did not answer {path}"))?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "the sandbox refused {path}: {status} {text}");
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    /// Posts to the control API.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.control(http::Method::POST, path, Some(body)).await
    }

    /// A person's edit; gives the object's id.
    pub async fn edit(&self, body: Value) -> Result<String> {
        let answer = self.post("edits", body).await?;
        Ok(answer["id"].as_str().context("an edit has no id")?.to_owned())
    }

    /// All that the stand-ins hold.
    pub async fn state(&self) -> Result<Value> {
        self.control(http::Method::GET, "state", None).await
    }

    /// Waits until nothing is on its way: no delivery, no undecided change, no due mirror, twice in a row.
    pub async fn settle(&self) -> Result<Load> {
        let mut quiet = 0;
        let turns = PATIENCE.as_millis() as u64 / 10;
        let mut load = Load::default();
        for _ in 0..turns {
            let deliveries = self.control(http::Method::GET, "deliveries?since=999999999", None).await?;
            load = self.app.load(&self.account.name).await?;
            let idle = deliveries["pending"] == 0 && load.undecided == 0 && load.due == 0;
            quiet = if idle { quiet + 1 } else { 0 };
            if quiet == 3 {
                return Ok(load);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("it did not come to rest in {} s: {load:?}", PATIENCE.as_secs())
    }

    /// The calls since the last look.
    pub async fn traffic(&mut self) -> Result<Traffic> {
        let answer = self.control(http::Method::GET, &format!("requests?since={}", self.seen), None).await?;
        self.seen = answer["next"].as_u64().unwrap_or(self.seen);
        let mut traffic = Traffic::default();
        for request in answer["requests"].as_array().into_iter().flatten() {
            if request["write"] == true {
                *traffic.writes.entry(label(request)).or_default() += 1;
            } else {
                traffic.reads += 1;
            }
        }
        Ok(traffic)
    }

    /// The statuses that deliveries with this id got.
    pub async fn answers(&self, number: u64) -> Result<Vec<u64>> {
        let log = self.control(http::Method::GET, "deliveries", None).await?;
        let delivery = log["deliveries"].as_array().into_iter().flatten().find(|one| one["number"] == number);
        let attempts = delivery.map(|one| one["attempts"].clone()).unwrap_or_default();
        Ok(attempts.as_array().into_iter().flatten().filter_map(|attempt| attempt["status"].as_u64()).collect())
    }

    /// The ids of all deliveries that were acknowledged, without copies and forgeries.
    pub async fn acknowledged(&self) -> Result<usize> {
        let log = self.control(http::Method::GET, "deliveries", None).await?;
        let good = |one: &&Value| one["state"] == "delivered" && one["signature"] == "good" && one["copy"] == false;
        Ok(log["deliveries"].as_array().into_iter().flatten().filter(good).count())
    }

    /// Rows that webhooks made.
    pub async fn recorded(&self) -> Result<u64> {
        let origins = self.app.store.origins(&self.account.name).await?;
        Ok(origins.get(&Origin::Webhook).copied().unwrap_or(0))
    }

    /// A fault of a stand-in.
    pub async fn fault(&self, system: &str, kind: &str, count: u32) -> Result<()> {
        self.post("faults", json!({ "system": system, "kind": kind, "count": count })).await.map(drop)
    }
}

fn label(request: &Value) -> String {
    let text = |key: &str| request[key].as_str().unwrap_or("?").to_owned();
    let extension = if request["extension"] == true { "+" } else { "" };
    let last = text("path").split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
    let what = match last.as_str() {
        "tags" => "contact tags".to_owned(),
        "completed" => "task completed".to_owned(),
        _ => text("kind"),
    };
    format!("{}{extension} {} {what}", text("system"), text("method"))
}
