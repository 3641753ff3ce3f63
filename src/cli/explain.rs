//! `lockstep explain`: the whole story of one entity: what is true and since when, where it is, what each change ended in and
//! why, what lost, which calls were made, and what waits.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use comfy_table::Table;

use super::ConfigFile;
use super::table::table;
use crate::app;
use crate::mirror::spread::absence;
use crate::model::{ConflictId, EntityId, Finding, Kind, Life, Mirror, MirrorState, System, Value, Whole};
use crate::store::{Sought, Store, sql};
use crate::systems::Site;

/// Conflicts that are told of one entity.
const MOST: u32 = 1_000;

/// Tells the story of one entity.
#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    file: ConfigFile,
    /// Our entity id, an id in one of the systems, an e-mail or a phone number.
    what: String,
}

impl Explain {
    /// Prints it. Exit code 1: nothing has that name.
    pub async fn run(self) -> Result<ExitCode> {
        let config = self.file.load()?;
        let store = sql::open_read_only(config.store.url.expose()).await?;
        let sites = app::sites(&config)?;
        let named = store.named(&self.what).await?;
        for entity in &named {
            tell(store.as_ref(), &sites, *entity).await?;
        }
        if named.is_empty() {
            eprintln!("nothing is known by that id, e-mail or phone number");
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}

type Sites = BTreeMap<String, Arc<Site>>;

async fn tell(store: &dyn Store, sites: &Sites, id: EntityId) -> Result<()> {
    let Some(whole) = store.whole(id).await? else { return Ok(()) };
    let entity = &whole.entity;
    let life = match &entity.life {
        Life::Live => String::new(),
        Life::Deleted(stamp) => format!(", deleted by {} at {}", stamp.author, stamp.t),
        Life::Merged(other) => format!(", it is {other} by now"),
    };
    println!("{} {id} in workspace {}{life}", entity.kind, entity.workspace);
    if let Some(parent) = entity.parent {
        println!("belongs to contact {parent}");
    }
    println!("\nwhat is true\n{}", fields(&whole));
    let booked = !store.children(id, Some(Kind::Appointment)).await?.is_empty();
    println!("\nwhere it is\n{}", places(&whole, sites.get(&entity.workspace).map(Arc::as_ref), booked));
    println!("\nwhat came in\n{}", story(store, id).await?);
    let wanted = Sought { entity: Some(id), ..Sought::default() };
    let conflicts = store.kept(&wanted, ConflictId(0), MOST).await?;
    if !conflicts.is_empty() {
        let mut table = table(["conflict", "field", "lost", "by", "won", "by", "rule", "state"]);
        for one in &conflicts {
            let conflict = &one.told.conflict;
            table.add_row([
                one.id.to_string(),
                conflict.field.to_string(),
                shown(&conflict.lost),
                format!("{} {}", conflict.lost_stamp.author, conflict.lost_stamp.t),
                shown(&conflict.won),
                format!("{} {}", conflict.won_stamp.author, conflict.won_stamp.t),
                conflict.rule.clone(),
                one.state.to_string(),
            ]);
        }
        println!("\nwhat lost, and is kept\n{table}");
    }
    println!("\nwhat was called\n{}\n", calls(store, id).await?);
    Ok(())
}

fn shown(value: &Value) -> String {
    value.as_text().map_or_else(|| format!("{value:?}"), ToOwned::to_owned)
}

fn fields(whole: &Whole) -> Table {
    let mut table = table(["field", "value", "by", "since"]);
    for (field, stamped) in &whole.entity.fields {
        let stamp = stamped.stamp;
        table.add_row([field.to_string(), shown(&stamped.value), stamp.author.to_string(), stamp.t.rfc3339()]);
    }
    table
}

fn places(whole: &Whole, site: Option<&Site>, booked: bool) -> Table {
    let mut table = table(["system", "id", "state", "mirror", "why"]);
    for link in &whole.links {
        let mirror = whole.mirror(link.system).filter(|_| link.is_live());
        let state = mirror.map_or(String::new(), |mirror| mirror.state.to_string());
        let why = mirror.and_then(|mirror| mirror.reason.clone()).unwrap_or_default();
        table.add_row([link.system.to_string(), link.id.to_string(), link.state.to_string(), state, why]);
    }
    for system in System::ALL.iter().filter(|system| whole.link(**system).is_none()) {
        let terms = site.and_then(|site| Some((site, site.terms(*system)?)));
        let absence = terms.map(|(site, terms)| absence(whole, terms, &site.workspace, booked));
        let mirror = whole.mirror(*system);
        let why = match (mirror, absence) {
            (Some(Mirror { reason: Some(reason), .. }), _) => reason,
            (Some(mirror), _) if mirror.state != MirrorState::Idle => "",
            (_, Some(absence)) => absence,
            (None, None) if site.is_none() => "its workspace is not in the configuration",
            (_, None) => "the workspace has no account there",
        };
        let state = mirror.map_or_else(String::new, |mirror| mirror.state.to_string());
        table.add_row([system.word(), "", "not there", &state, why]);
    }
    table
}

async fn story(store: &dyn Store, id: EntityId) -> Result<Table> {
    let mut table = table(["change", "received", "from", "what", "ended", "fields", "why"]);
    for (change, verdict) in store.story(id).await? {
        let told: Vec<String> = verdict
            .findings
            .iter()
            .filter(|(_, finding)| **finding != Finding::Unchanged)
            .map(|(field, finding)| format!("{field} {finding}"))
            .collect();
        table.add_row([
            change.id.to_string(),
            change.said.received.rfc3339(),
            format!("{} {}", change.said.system, change.said.origin),
            change.said.label.clone(),
            verdict.outcome.to_string(),
            told.join(", "),
            verdict.why.clone(),
        ]);
    }
    Ok(table)
}

async fn calls(store: &dyn Store, id: EntityId) -> Result<Table> {
    let mut table = table(["at", "system", "call", "fields", "result", "took", "trace"]);
    for attempt in store.attempts(id).await? {
        let names: Vec<&str> = attempt.fields.iter().map(crate::model::Field::name).collect();
        let status = attempt.status.map_or_else(String::new, |status| format!(" {status}"));
        let note = attempt.note.map_or_else(String::new, |note| format!(": {note}"));
        table.add_row([
            attempt.at.rfc3339(),
            attempt.system.to_string(),
            attempt.action.to_string(),
            names.join(", "),
            format!("{}{status}{note}", attempt.result),
            format!("{} ms", attempt.took_ms),
            attempt.trace.unwrap_or_default(),
        ]);
    }
    Ok(table)
}
