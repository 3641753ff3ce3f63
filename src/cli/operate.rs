//! `lockstep reconcile`, `preview`, `live`, `approve`: asked of the running service, at its ops listener.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::ConfigFile;
use super::table::table;
use crate::config::Config;

/// The running service, asked as its operator.
pub(super) struct Operator {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Operator {
    pub(super) fn of(config: &Config) -> Result<Self> {
        let token = config.ops.token.as_ref().context("`[ops] token` is not set, so no operator is answered")?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(70)).build()?;
        Ok(Self { client, base: format!("http://{}", config.server.ops), token: token.expose().to_owned() })
    }

    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.with_context(|| format!("no service answers at {}", self.base))?;
        let (status, text) = (answer.status(), answer.text().await?);
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        if !status.is_success() {
            bail!("{}", json["detail"].as_str().or(json["title"].as_str()).unwrap_or("the service refused it"));
        }
        Ok(json)
    }
}

/// Compares the systems with what is known of them.
#[derive(Debug, Args)]
pub struct Reconcile {
    #[command(flatten)]
    file: ConfigFile,
    /// Only this workspace.
    #[arg(long)]
    workspace: Option<String>,
    /// Lists everything, not only what changed since the last run.
    #[arg(long)]
    full: bool,
    /// Reports the drift and feeds nothing in.
    #[arg(long)]
    dry_run: bool,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

impl Reconcile {
    /// Starts a run, waits for it, prints its report. Exit code 2: a listing failed. What the owner of an
    /// account did not grant is told, and is no failure.
    pub async fn run(self) -> Result<ExitCode> {
        let operator = Operator::of(&self.file.load()?)?;
        let order = json!({ "workspace": self.workspace, "full": self.full, "dry_run": self.dry_run });
        let mut run = operator.ask(Method::POST, "/reconcile", Some(order)).await?;
        let path = format!("/reconcile/{}", run["run"].as_str().unwrap_or_default());
        while run["status"] == "running" {
            tokio::time::sleep(Duration::from_millis(200)).await;
            run = operator.ask(Method::GET, &path, None).await?;
        }
        if self.json {
            println!("{run}");
        } else {
            print_reports(&run);
        }
        let listings =
            || run["reports"].as_array().into_iter().flatten().filter_map(|report| report["listings"].as_array());
        let failed = run["status"] != "done" || listings().flatten().any(|listing| !listing["error"].is_null());
        Ok(if failed { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }
}

fn print_reports(run: &Value) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    for report in run["reports"].as_array().into_iter().flatten() {
        let header = ["system", "kind", "listed", "equal", "drifted", "unknown", "missing", "error"];
        let mut table = table(header);
        for listing in report["listings"].as_array().into_iter().flatten() {
            let not_granted = listing["not_granted"].as_str().map(|scope| format!("not granted: {scope}"));
            table.add_row(header.map(|key| match &listing[key] {
                Value::Null => not_granted.clone().unwrap_or_default(),
                value => text(value),
            }));
        }
        println!("workspace {}\n{table}", text(&report["workspace"]));
        for drift in report["drift"].as_array().into_iter().flatten() {
            let fields: Vec<String> = drift["fields"].as_array().into_iter().flatten().map(text).collect();
            let (what, kind, object) = (text(&drift["what"]), text(&drift["kind"]), text(&drift["object"]));
            println!("  {what}: {} {kind} {object} {}", text(&drift["system"]), fields.join(", "));
        }
        if report["dry_run"] == true {
            println!("dry run: nothing was fed in");
        }
    }
}

/// Shows what a workspace in shadow mode would write.
#[derive(Debug, Args)]
pub struct Preview {
    #[command(flatten)]
    file: ConfigFile,
    /// The workspace.
    workspace: String,
    /// Prints it as JSON.
    #[arg(long)]
    json: bool,
}

impl Preview {
    /// Prints it, with the code that `lockstep live` asks for.
    pub async fn run(self) -> Result<()> {
        let operator = Operator::of(&self.file.load()?)?;
        let preview = operator.ask(Method::GET, &format!("/workspaces/{}/preview", self.workspace), None).await?;
        if self.json {
            println!("{preview}");
            return Ok(());
        }
        let calls = preview["calls"].as_array().cloned().unwrap_or_default();
        let mut table = table(["system", "would", "entity"]);
        for call in &calls {
            table.add_row(["system", "what", "entity"].map(|key| call[key].as_str().unwrap_or_default().to_owned()));
        }
        println!("{table}\n{} objects would be written", calls.len());
        print_linking(&preview);
        if preview["unfinished"] != 0 {
            println!("{} changes and reads are still under way: look again when they are done", preview["unfinished"]);
        } else {
            let code = preview["code"].as_str().unwrap_or_default();
            println!("to let this be written: lockstep live {} --confirm {code}", self.workspace);
        }
        Ok(())
    }
}

/// What was linked with what was there before, and what cannot be told.
fn print_linking(preview: &Value) {
    let rows = |key: &str| preview[key].as_array().cloned().unwrap_or_default();
    let (linked, ambiguous) = (rows("linked"), rows("ambiguous"));
    for one in &linked {
        let fields: Vec<&str> = one["fields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let [system, object, entity] = ["system", "object", "entity"].map(|key| one[key].as_str().unwrap_or_default());
        println!("  linking {system} {object} to {entity}: one value each of {} loses", fields.join(", "));
    }
    if !linked.is_empty() {
        println!("{} links overwrite something; both values: lockstep conflicts", linked.len());
    }
    for one in &ambiguous {
        println!("  {}: {}", one["entity"].as_str().unwrap_or_default(), one["text"].as_str().unwrap_or_default());
    }
    if !ambiguous.is_empty() {
        println!("{} are written nowhere until a person says who they are", ambiguous.len());
    }
}

/// Lets a workspace write.
#[derive(Debug, Args)]
pub struct Live {
    #[command(flatten)]
    file: ConfigFile,
    /// The workspace.
    workspace: String,
    /// The code that its preview printed.
    #[arg(long)]
    confirm: String,
}

impl Live {
    /// Confirms the preview.
    pub async fn run(self) -> Result<()> {
        let operator = Operator::of(&self.file.load()?)?;
        let path = format!("/workspaces/{}/live", self.workspace);
        let answer = operator.ask(Method::POST, &path, Some(json!({ "code": self.confirm }))).await?;
        println!("{} is live; {} objects are being written", self.workspace, answer["released"]);
        Ok(())
    }
}

/// Approves what waits for a person.
#[derive(Debug, Args)]
pub struct Approve {
    #[command(flatten)]
    file: ConfigFile,
    /// The workspace.
    workspace: String,
    /// What is approved, as `lockstep explain` and `/status` name it: `brake/ghl/create`, `parked/ENTITY/SYSTEM`.
    subject: String,
}

impl Approve {
    /// Approves it.
    pub async fn run(self) -> Result<()> {
        let operator = Operator::of(&self.file.load()?)?;
        let path = format!("/workspaces/{}/approve", self.workspace);
        let answer = operator.ask(Method::POST, &path, Some(json!({ "subject": self.subject }))).await?;
        println!("{} go on", answer["released"]);
        Ok(())
    }
}
