//! A sandbox in this process, with its control API called over HTTP like everybody else does.

use std::time::Duration;

use lockstep::sandbox::settings::{SandboxSettings, Workspace};
use lockstep::sandbox::shell;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A running sandbox.
pub struct Stage {
    /// Its address, without a path.
    pub base: String,
    /// The accounts of its first workspace.
    pub account: Workspace,
    client: reqwest::Client,
    stop: CancellationToken,
}

impl Stage {
    /// Serves the sandbox until this is dropped.
    pub async fn start(settings: SandboxSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let account = settings.workspaces[0].clone();
        let stop = CancellationToken::new();
        tokio::spawn(shell::serve(listener, settings, stop.clone()));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { base, account, client, stop }
    }

    /// Asks the control API.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}/control/{path}", self.base)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Posts to the control API.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}/control/{path}", self.base));
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path} {body}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Clears all faults.
    pub async fn heal(&self) {
        let answer = self.client.delete(format!("{}/control/faults", self.base)).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// A person's edit; gives the object's id.
    pub async fn edit(&self, edit: Value) -> String {
        self.post("edits", edit).await["id"].as_str().unwrap().to_owned()
    }

    /// Deliveries that are still to be sent or being sent.
    pub async fn pending(&self) -> u64 {
        self.get("deliveries?since=999999999").await["pending"].as_u64().unwrap()
    }

    /// Waits until a write is made in some stand-in, but not longer than this.
    pub async fn next_write(&self, longest: Duration) -> bool {
        self.next_request(longest, |row| row["write"] == true).await
    }

    /// Waits until a stand-in is asked for something to do with tokens, but not longer than this.
    pub async fn next_of_tokens(&self, longest: Duration) -> bool {
        self.next_request(longest, |row| row["path"].as_str().unwrap().starts_with("/oauth/")).await
    }

    /// Waits for a request that fits; whether there was one in time.
    async fn next_request(&self, longest: Duration, fits: impl Fn(&Value) -> bool) -> bool {
        let mut since = self.get("requests?since=999999999").await["next"].as_u64().unwrap();
        let fitting = async {
            loop {
                let log = self.get(&format!("requests?since={since}")).await;
                if log["requests"].as_array().unwrap().iter().any(&fits) {
                    return;
                }
                since = log["next"].as_u64().unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(longest, fitting).await.is_ok()
    }

    /// Holds the answer to each write of a stand-in back, after applying it: the caller waits, and may die meanwhile.
    pub async fn slow_answers(&self, system: &str, extension: bool, delay_ms: u64) {
        let fault = json!({
            "system": system, "extension": extension, "kind": "slow", "only": "writes", "delay_ms": delay_ms
        });
        self.post("faults", fault).await;
    }

    /// Holds answers about tokens of GHL back, after giving them out: so many, or all.
    pub async fn slow_tokens(&self, delay_ms: u64, count: Option<u32>) {
        let fault = json!({ "system": "ghl", "kind": "slow", "path": "/oauth/", "delay_ms": delay_ms, "count": count });
        self.post("faults", fault).await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
