//! The stages over a store, GHL and TimeRex's stand-ins behind them, and a clock that is advanced: webhooks in, and what is then
//! where.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lockstep::clock::Millis;
use lockstep::ids::Ids;
use lockstep::mirror::{Lanes, UnderWay};
use lockstep::model::{
    Author, Entity, EntityId, ExternalId, Field, Kind, Lease, Mode, NewChange, Stamp, System, Value as Held, Workspace,
};
use lockstep::reconcile::{Poll, Reconciler};
use lockstep::resolve::Resolver;
use lockstep::sandbox::{Edit, StandIn, Webhook};
use lockstep::store::{Cached, Settlement, Whole};
use lockstep::systems::timerex::Team;
use lockstep::systems::{Site, Target};
use serde_json::{Value, json};
use uuid::Uuid;

use super::bench::{Bench, delivered};
use crate::support::databases::Database;

/// The name of the workspace.
pub const MAIN: &str = "main";
const CONFIRMED: &str = include_str!("../../fixtures/timerex/event_confirmed.json");
const CANCELLED: &str = include_str!("../../fixtures/timerex/event_cancelled.json");
/// The guest of the documented bodies.
pub const GUEST: &str = "hanako.yamada@example.test";

pub struct Desk {
    pub bench: Bench,
    pub database: Database,
    pub site: Site,
    resolver: Resolver,
    lanes: Lanes,
    pub reconciler: Reconciler,
    lease: Lease,
    told: AtomicU64,
}

impl Desk {
    /// GHL and TimeRex without an extension.
    pub async fn new() -> Self {
        Self::with(|_| {}, false).await
    }

    pub async fn with(adjust: impl FnOnce(&mut Team), extended: bool) -> Self {
        let (bench, database) = (Bench::new(), Database::sqlite().await);
        let (store, clock, ids) = (database.store.clone(), bench.core.clock.clone(), Arc::new(Ids::seeded(7)));
        let cached = Arc::new(Cached::new(store.clone(), clock.clone()));
        let resolver = Resolver::new(store.clone(), cached.clone(), clock.clone(), ids.clone());
        let lanes = Lanes {
            log: store.clone(),
            mirrors: store.clone(),
            settling: cached,
            workspaces: store.clone(),
            lookup: resolver.lookup(),
            clock: clock.clone(),
            ids: ids.clone(),
            under_way: UnderWay::default(),
        };
        let reconciler =
            Reconciler { log: store.clone(), entities: store.clone(), workspaces: store.clone(), clock, ids };
        let account = &bench.account;
        let mut workspace = Workspace {
            name: MAIN.to_owned(),
            accounts: [(System::Ghl, account.ghl_location.clone()), (System::Timerex, account.timerex_team.clone())]
                .into(),
            ..Workspace::default()
        };
        workspace.policy.create_settle = Duration::from_secs(1);
        let (ghl, timerex) = (Arc::new(bench.ghl()) as Arc<dyn Target>, bench.timerex_as(adjust, extended));
        let targets = [(System::Ghl, ghl), (System::Timerex, Arc::new(timerex) as _)].into();
        let site = Site::new(workspace, targets);
        let far = Millis::parse("2099-01-01T00:00:00Z").unwrap();
        let lease = store.lease(&[MAIN.to_owned()], "us", bench.now(), far).await.unwrap().pop().unwrap();
        Self { bench, database, site, resolver, lanes, reconciler, lease, told: AtomicU64::new(0) }
    }

    /// A webhook reaches the change log; the same one as often as it is told.
    pub async fn hear(&self, webhook: &Webhook) {
        let number = self.told.fetch_add(1, Ordering::Relaxed);
        let label = webhook.body["type"].as_str().unwrap_or_default().to_owned();
        let said =
            NewChange { dedup: format!("told/{number}"), received: self.bench.now(), label, ..delivered(webhook).said };
        self.database.store.append(&[said]).await.unwrap();
    }

    /// TimeRex tells this body.
    pub async fn tell(&self, body: &Value) {
        let (account, body) = (self.bench.account.timerex_team.clone(), body.clone());
        self.hear(&Webhook {
            system: System::Timerex,
            extension: false,
            account,
            id: String::new(),
            body,
            push_to: None,
        })
        .await;
    }

    /// Tells bodies one after the other, and lets each come to rest.
    pub async fn tell_each(&self, bodies: &[&Value]) {
        for body in bodies {
            self.tell(body).await;
            self.settle().await;
        }
    }

    /// A person's edit, and its webhook where there is one.
    pub async fn edit(&self, system: System, what: &str, id: Option<&str>, fields: Value) -> String {
        let (action, kind) = what.split_once(' ').unwrap();
        let account = &self.bench.account;
        let account = if system == System::Ghl { &account.ghl_location } else { &account.timerex_team };
        let edit = Edit {
            action: action.to_owned(),
            kind: kind.to_owned(),
            account: account.clone(),
            id: id.map(str::to_owned),
            parent: None,
            fields,
        };
        let (id, webhooks) = self.bench.edit(system, &edit);
        for webhook in &webhooks {
            self.hear(webhook).await;
        }
        id
    }

    /// GHL answers nothing but 503, or answers again.
    pub fn ghl_is_away(&self, away: bool) {
        let ghl = StandIn::vendor(System::Ghl);
        let faults = &mut self.bench.core.sandbox.lock().unwrap().faults;
        faults.clear(Some(ghl));
        if away {
            faults.add(ghl, serde_json::from_value(json!({ "kind": "down" })).unwrap());
        }
    }

    /// A contact that no system holds.
    pub async fn have_contact(&self, number: u128, email: &str) {
        let id = EntityId(Uuid::from_u128(number));
        let mut entity = Entity::new(id, MAIN, Kind::Contact, self.bench.now());
        entity.set(Field::EMAIL, Held::text(email), Stamp::new(self.bench.now(), Author::Ghl));
        let mut settlement = Settlement::new(self.lease.clone(), self.bench.now());
        settlement.entities.push(entity);
        self.lanes.settling.settle(&settlement).await.unwrap();
    }

    /// Works once whatever is to be done now.
    pub async fn step(&self) {
        self.resolver.step(&self.site, &self.lease, None).await.unwrap().unwrap();
        for mirror in self.database.store.due(MAIN, self.bench.now(), 100).await.unwrap() {
            let (entity, system) = (mirror.entity, mirror.system);
            self.lanes.work(&self.site, &self.lease, Mode::Live, entity, system).await.unwrap();
        }
    }

    /// Works until nothing is undecided or due, or ten minutes have gone by.
    pub async fn settle(&self) {
        for _ in 0..2_400 {
            self.step().await;
            let load = self.database.store.load(MAIN).await.unwrap();
            if (load.undecided, load.due) == (0, 0) {
                return;
            }
            self.bench.core.clock.advance(Duration::from_millis(250));
        }
        panic!("it does not come to rest");
    }

    /// One round of polling TimeRex's bookings, and what follows from it. Gives the rows that it made.
    pub async fn poll(&self, poll: &mut Poll) -> usize {
        let rows = self.reconciler.poll(&self.site, poll).await.unwrap();
        self.settle().await;
        rows
    }

    /// What GHL holds of a kind: `contacts`, `notes`, `appointments`.
    pub fn ghl(&self, kind: &str) -> Vec<Value> {
        let state = self.bench.core.sandbox.lock().unwrap().state();
        let held = &state["ghl"][kind];
        let all = held.as_object().map(|all| all.values().cloned().collect());
        all.or_else(|| held.as_array().cloned()).unwrap_or_default()
    }

    /// The bookings as GHL shows them: status and start.
    pub fn booked(&self) -> Vec<(String, String)> {
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let mut all: Vec<_> = self
            .ghl("appointments")
            .iter()
            .map(|one| (text(one, "appointmentStatus"), text(one, "startTime")))
            .collect();
        all.sort();
        all
    }

    /// The texts of the notes in GHL.
    pub fn notes(&self) -> Vec<String> {
        self.ghl("notes").iter().map(|note| note["body"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The entity of a booking.
    pub async fn whole(&self, kind: Kind, id: &str) -> Option<Whole> {
        let store = &self.database.store;
        let link = store.link(MAIN, System::Timerex, kind, &ExternalId::new(id)).await.unwrap()?;
        store.whole(link.entity).await.unwrap()
    }

    /// A documented confirmation, of a booking in our calendar without a reference, changed.
    pub fn confirmed(&self, id: &str, edit: impl FnOnce(&mut Value)) -> Value {
        self.body(CONFIRMED, id, edit)
    }

    /// The same of a cancellation.
    pub fn cancelled(&self, id: &str, edit: impl FnOnce(&mut Value)) -> Value {
        self.body(CANCELLED, id, edit)
    }

    fn body(&self, documented: &str, id: &str, edit: impl FnOnce(&mut Value)) -> Value {
        let mut body: Value = serde_json::from_str(documented).unwrap();
        let account = &self.bench.account;
        body["team_url_path"] = json!(account.timerex_team);
        body["calendar_url_path"] = json!(account.timerex_calendar_path);
        let event = &mut body["event"];
        (event["id"], event["calendar_id"]) = (json!(id), json!(account.timerex_calendar));
        event["url_params"] = json!([]);
        edit(event);
        body
    }
}

/// Answers the question of this type otherwise.
pub fn answer(event: &mut Value, kind: &str, value: &str) {
    for item in event["form"].as_array_mut().unwrap() {
        if item["field_type"] == kind {
            item["value"] = json!(value);
        }
    }
}
