//! The world outside of the service: the stand-ins, the wire to them, their webhooks on the way, and virtual time.
//!
//! In: requests of the replicas, acts of the history. Out: answers, late or never; webhooks to be delivered. Everything that is
//! still to come stands in one queue by its time, so that a seed replays to the letter.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::oneshot;

use super::deletions::Deletions;
use super::people::Wish;
use super::sightings::{By, Look, Sightings};
use super::story::{Deed, Strangeness, Trouble};
use super::tokens;
use super::writes::{Change, Writes};
use crate::clock::{Clock, ManualClock, Millis};
use crate::model::System;
use crate::sandbox::faults::{Fault, Only};
use crate::sandbox::signing::Signer;
use crate::sandbox::{Request, RequestRow, Response, Sandbox, SandboxSettings, StandIn, Webhook, core, requests};
use crate::systems::TransportError;

/// What a replica sends so soon after it stood still, it had decided to send before.
const AWAKE: Duration = Duration::from_secs(1);
/// How long a caller waits for an answer that does not come: shorter than a create may be late.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest time after which a create without an answer is applied; with the lag of searching, less than `create_settle`.
const LATE_CREATE_MS: u64 = 14_000;
/// The same for other writes, less than `late_write`.
const LATE_WRITE_MS: u64 = 500_000;

/// Our app at GHL.
const APP: &str = "65a0b1c2d3e4f5a6b7c8d9e0";

/// What an answer was.
pub type Answered = Result<Response, TransportError>;

/// What comes back to a caller.
pub struct Reply {
    /// The answer, or that there is none.
    answered: Answered,
    /// Who hears it.
    by: Caller,
    look: Look,
    /// What was changed, if it was a write.
    change: Option<Change>,
}

/// Something that is to come.
pub enum Due {
    /// The act of the history with this place in it.
    Act(usize),
    /// A request reaches its stand-in.
    Apply(Box<Flight>),
    /// An answer reaches its caller.
    Answer(oneshot::Sender<Answered>, Box<Reply>),
    /// A webhook is sent.
    Deliver(usize),
    /// A replica starts.
    Start(usize),
    /// A person goes on with what they do.
    Wish(Deed, Box<Wish>),
}

/// A process: the replica, and how often it was started.
pub type Caller = (usize, u64);

/// A request on its way.
pub struct Flight {
    request: Request,
    by: Caller,
    look: Look,
    caller: Option<oneshot::Sender<Answered>>,
    /// When it left.
    left: Millis,
    /// Whether its replica stood still before it left: another one may hold the lease by now.
    stood: bool,
}

/// A webhook on its way.
pub struct Parcel {
    /// Who sends it.
    pub from: StandIn,
    /// The account it speaks for.
    pub account: String,
    /// Its id.
    pub id: String,
    /// Its body.
    pub body: Bytes,
    /// Tries so far.
    pub tries: u32,
    /// Copies still to be sent after this one.
    pub copies: u32,
    /// Whether it was answered 2xx.
    pub acknowledged: bool,
    /// Whether nobody sends it any more.
    pub over: bool,
}

impl Parcel {
    fn new(from: StandIn, account: &str, id: &str, body: Bytes) -> Self {
        let (account, id) = (account.to_owned(), id.to_owned());
        Self { from, account, id, body, tries: 0, copies: 0, acknowledged: false, over: false }
    }
}

/// What happens to the next requests or webhooks of a stand-in.
#[derive(Debug, Default)]
struct Plans {
    requests: VecDeque<Trouble>,
    webhooks: VecDeque<Trouble>,
}

/// The world.
pub struct World {
    /// Our clock.
    pub clock: ManualClock,
    /// The stand-ins.
    pub sandbox: Sandbox,
    /// What their webhooks are signed with.
    pub signer: Signer,
    /// All webhooks ever.
    pub parcels: Vec<Parcel>,
    /// Until when each replica stands still.
    pub frozen: Vec<Millis>,
    /// Until when each replica stood still at last.
    stood: Vec<Millis>,
    /// How often everything occurred.
    pub counts: BTreeMap<String, u64>,
    /// What the service was shown, in webhooks that it acknowledged or in answers.
    pub seen: Sightings,
    /// What was deleted.
    pub gone: Deletions,
    /// Webhooks that a replica is taking in.
    pub under_way: u32,
    /// How many reconciles are under way.
    pub reconciles: u32,
    /// Writes whose answer was lost or late: they may be made once more.
    pub unclear: u64,
    /// What our writes did to the values of people's edits.
    pub written: Writes,
    /// Who made the calls, by their numbers; those that came in too late for their callers are left out.
    pub callers: BTreeMap<u64, Caller>,
    /// The numbers of the calls that were made while a reconcile was under way.
    pub reconciling: BTreeSet<u64>,
    /// What happened, line by line, if it is to be told.
    pub told: Option<Vec<String>>,
    queue: BTreeMap<(Millis, u64), Due>,
    numbers: u64,
    plans: BTreeMap<StandIn, Plans>,
    rng: fastrand::Rng,
}

/// The world, shared.
pub type Shared = Arc<Mutex<World>>;

/// Locks it.
pub fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world at the beginning.
    pub fn new(settings: &SandboxSettings, signer: Signer, clock: ManualClock, replicas: usize, seed: u64) -> Self {
        Self {
            clock,
            sandbox: Sandbox::new(settings),
            signer,
            parcels: Vec::new(),
            frozen: vec![Millis(0); replicas],
            stood: vec![Millis(0); replicas],
            counts: BTreeMap::new(),
            seen: Sightings::default(),
            gone: Deletions::default(),
            under_way: 0,
            reconciles: 0,
            unclear: 0,
            written: Writes::default(),
            callers: BTreeMap::new(),
            reconciling: BTreeSet::new(),
            told: None,
            queue: BTreeMap::new(),
            numbers: 0,
            plans: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed ^ 0x6e65_7477_6f72_6b00),
        }
    }

    /// Counts one more of something.
    pub fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    /// Puts something off until then.
    pub fn later(&mut self, at: Millis, due: Due) {
        self.numbers += 1;
        self.queue.insert((at, self.numbers), due);
    }

    /// When the next thing is to come.
    pub fn next(&self) -> Option<Millis> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next thing if its time has come.
    pub fn take(&mut self) -> Option<Due> {
        let (at, _) = *self.queue.keys().next()?;
        if at > self.clock.now() {
            return None;
        }
        self.queue.pop_first().map(|(_, due)| due)
    }

    /// What will happen to the next requests or webhooks of a stand-in.
    pub fn plan(&mut self, at: StandIn, trouble: Trouble, count: u32) {
        let plans = self.plans.entry(at).or_default();
        let of_requests = matches!(trouble, Trouble::Answers(..) | Trouble::LateWrites(..) | Trouble::Unreachable(..));
        let list = if of_requests { &mut plans.requests } else { &mut plans.webhooks };
        list.extend(std::iter::repeat_n(trouble, count as usize));
    }

    /// A replica stands still until then.
    pub fn freeze(&mut self, replica: usize, until: Millis) {
        (self.frozen[replica], self.stood[replica]) = (until, until);
    }

    /// All troubles are over.
    pub fn heal(&mut self) {
        self.plans.clear();
        self.frozen.iter_mut().for_each(|until| *until = Millis(0));
    }

    /// Tells what happens, if it is to be told.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let since = self.clock.now().since(super::stage::BEGINNING).as_millis();
        if let Some(told) = &mut self.told {
            told.push(format!("{:>9}.{:03} {}", since / 1_000, since % 1_000, line()));
        }
    }

    /// Chance, in percent.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    /// Some time.
    pub fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    /// Our writes, as the stand-ins counted them.
    pub fn writes(&self) -> impl Iterator<Item = &RequestRow> {
        self.sandbox.requests(0).into_iter().filter(|row| row.write)
    }

    /// The numbers of all edits whose values stand in an object of a stand-in.
    pub fn values(&self, at: StandIn, id: &str) -> BTreeSet<u32> {
        let mut values = BTreeSet::new();
        if let Some(object) = self.sandbox.object(at, id) {
            tokens::within(&object, &mut values);
        }
        values
    }

    /// A request leaves a replica.
    pub fn send(&mut self, request: Request, by: Caller, look: Look, caller: oneshot::Sender<Answered>) {
        let now = self.clock.now();
        let stood = now.since(self.stood[by.0]) < AWAKE;
        let (at, writes) = (addressee(&request), requests::means_to_write(&request));
        let trouble = at.and_then(|at| self.request_trouble(at, writes));
        let way = self.ms(5..120);
        match trouble {
            Some(Trouble::Unreachable(..)) => {
                let answered = Err(TransportError::NotSent("connection refused".to_owned()));
                let refused = Box::new(Reply { answered, by, look, change: None });
                self.later(now + way, Due::Answer(caller, refused));
            }
            Some(Trouble::LateWrites(..)) => {
                let most = if request.method() == http::Method::POST { LATE_CREATE_MS } else { LATE_WRITE_MS };
                let late = self.ms(0..most);
                self.unclear += 1;
                let flight = Flight { request, by, look: look.clone(), caller: None, left: now, stood };
                self.later(now + late, Due::Apply(Box::new(flight)));
                let answered = Err(TransportError::NoAnswer("timed out".to_owned()));
                let lost = Box::new(Reply { answered, by, look, change: None });
                self.later(now + PATIENCE, Due::Answer(caller, lost));
            }
            trouble => {
                if let Some(Trouble::Answers(at, kind, _)) = trouble {
                    let (delay_ms, retry) = (self.rng.u64(500..8_000), self.chance(50));
                    let retry_after = retry.then(|| self.rng.u64(1..40));
                    let fault = Fault { kind, count: Some(1), only: Only::Any, path: None, delay_ms, retry_after };
                    self.sandbox.faults.add(at, fault);
                }
                let flight = Flight { request, by, look, caller: Some(caller), left: now, stood };
                self.later(now + way, Due::Apply(Box::new(flight)));
            }
        }
    }

    fn request_trouble(&mut self, at: StandIn, writes: bool) -> Option<Trouble> {
        let list = &mut self.plans.get_mut(&at)?.requests;
        let fits = |trouble: &Trouble| match trouble {
            Trouble::LateWrites(..) => writes,
            _ => true,
        };
        if !list.front().is_some_and(fits) {
            return None;
        }
        let trouble = list.pop_front()?;
        self.count(format!("fault/{}", trouble.word()));
        Some(trouble)
    }

    /// A request reaches its stand-in.
    pub fn apply(&mut self, flight: Flight) {
        let now = self.clock.now();
        let writes = requests::means_to_write(&flight.request);
        if flight.request.uri().path().contains("/auth/") {
            self.count("fault/token_expiry");
        }
        let line = self.told.is_some().then(|| {
            let (method, uri) = (flight.request.method(), flight.request.uri());
            format!("{method} {uri} {}", String::from_utf8_lossy(flight.request.body()))
        });
        let object = if writes { requests::object(&flight.request, None).1 } else { None };
        let place = addressee(&flight.request).zip(object);
        let deletes = flight.request.method() == http::Method::DELETE;
        // Who takes a tag off deletes nothing.
        let deleted = place.clone().filter(|(at, id)| deletes && self.sandbox.object(*at, id).is_some());
        let before = place.as_ref().map(|(at, id)| self.values(*at, id)).unwrap_or_default();
        if flight.caller.is_some() {
            self.callers.insert(self.sandbox.next_request(), flight.by);
        }
        if self.reconciles > 0 {
            self.reconciling.insert(self.sandbox.next_request());
        }
        let answer = self.sandbox.answer(now, flight.request);
        let mut change = place.map(|(at, object)| {
            let after = self.values(at, &object);
            Change::between(object, &before, &after)
        });
        if let Some(change) = &change {
            self.written.made(change);
        }
        if let Some((_, object)) = deleted.filter(|(at, id)| self.sandbox.object(*at, id).is_none()) {
            self.gone.by_us(object, flight.left, before, &self.seen, &self.sandbox);
        }
        let status = answer.response.status();
        // Who is told of trouble inside knows no more than who is told nothing.
        if answer.cut || flight.caller.is_none() || flight.stood || status.is_server_error() {
            self.written.not_heard(change.take());
        }
        let (heard, cut) = (flight.caller.is_some(), answer.cut);
        self.tell(|| {
            let ending = if cut {
                ", cut"
            } else if heard {
                ""
            } else {
                ", late"
            };
            let said = String::from_utf8_lossy(answer.response.body()).chars().take(1_500).collect::<String>();
            format!("  {} -> {status}{ending} {said}", line.unwrap_or_default())
        });
        for webhook in &answer.webhooks {
            self.post(webhook);
        }
        let Some(caller) = flight.caller else { return };
        // Most answers come at once, and some take long.
        let way = answer.delay + if self.chance(5) { self.ms(80..3_000) } else { self.ms(5..80) };
        if answer.cut {
            self.unclear += u64::from(writes);
            let answered = Err(TransportError::NoAnswer("connection reset".to_owned()));
            let lost = Box::new(Reply { answered, by: flight.by, look: flight.look, change });
            return self.later(now + way, Due::Answer(caller, lost));
        }
        let reply = Reply { answered: Ok(answer.response), by: flight.by, look: flight.look, change };
        self.later(now + way, Due::Answer(caller, Box::new(reply)));
    }

    /// An answer reaches its caller, unless that is no more.
    pub fn answer(&mut self, caller: oneshot::Sender<Answered>, reply: Reply) {
        let succeeded = reply.answered.as_ref().ok().filter(|response| response.status().is_success());
        let said = succeeded.map(|response| response.body().clone());
        // Who stands still by then keeps nothing of it, for the lease is another's before it goes on; unless nobody else is up.
        let stands_still = self.frozen[reply.by.0] > self.clock.now();
        match (caller.send(reply.answered), said) {
            (Ok(()), told) if stands_still => {
                self.written.not_heard(reply.change);
                self.seen.perhaps(told.as_deref(), self.clock.now());
            }
            (Ok(()), told) => self.seen.answered(reply.look, told.as_deref(), self.clock.now()),
            (Err(_), _) => self.written.not_heard(reply.change),
        }
    }

    /// A stand-in has something to tell.
    pub fn post(&mut self, webhook: &Webhook) {
        let from = StandIn { system: webhook.system, extension: webhook.extension };
        let plan = self.plans.get_mut(&from).and_then(|plans| plans.webhooks.pop_front());
        if let Some(plan) = plan {
            self.count(format!("fault/{}", plan.word()));
        }
        let mut parcel = Parcel::new(from, &webhook.account, &webhook.id, webhook.body.to_string().into());
        let mut wait = self.ms(20..1_500);
        match plan {
            Some(Trouble::Lose(..)) => parcel.over = true,
            Some(Trouble::Double(..)) => parcel.copies = self.rng.u32(1..3),
            Some(Trouble::Shuffle(..)) => wait = self.ms(0..600_000),
            Some(Trouble::Delay(..)) => wait = self.ms(86_400_000..260_000_000),
            _ => {}
        }
        let (lost, self_number) = (parcel.over, self.parcels.len());
        self.tell(|| format!("    webhook {} of {:?} {plan:?}: {}", self_number, from, webhook.body));
        self.parcels.push(parcel);
        if !lost {
            self.later(self.clock.now() + wait, Due::Deliver(self.parcels.len() - 1));
        }
    }

    /// GHL sends something that nobody understands.
    pub fn post_strange(&mut self, account: &str, strange: Strangeness, seed: u64) {
        let id = format!("strange-{seed}");
        let named = |account: &str, label: &str| {
            let body = json!({ "type": label, "locationId": account, "appId": APP, "webhookId": id, "id": "strange" });
            body.to_string()
        };
        let body = match strange {
            // By nothing but its bytes can it be told from others.
            Strangeness::Garbled => format!("{{ {id} is no JSON"),
            Strangeness::Foreign => named("a location of somebody else", "ContactUpdate"),
            Strangeness::Unknown => named(account, "OpportunityCreate"),
        };
        let from = StandIn::vendor(System::Ghl);
        let parcel = Parcel::new(from, account, if strange == Strangeness::Garbled { "" } else { &id }, body.into());
        self.parcels.push(parcel);
        self.later(self.clock.now(), Due::Deliver(self.parcels.len() - 1));
    }

    /// The answer to a webhook: 2xx, or not.
    pub fn delivered(&mut self, number: usize, acknowledged: bool) {
        self.under_way -= 1;
        let now = self.clock.now();
        let (again, wait) = (self.ms(0..60_000), self.ms(0..4_000));
        self.tell(|| format!("    webhook {number} {}", if acknowledged { "acknowledged" } else { "not taken" }));
        let parcel = &mut self.parcels[number];
        parcel.tries += 1;
        if acknowledged {
            parcel.acknowledged = true;
            // TIMIFY's are hints to us, whatever they carry.
            let tells = parcel.from.extension || parcel.from.system != System::Timify;
            // Only an extension's carry versions of what people type in.
            if tells {
                let by = if parcel.from.extension { By::Version } else { By::Claim };
                self.seen.look(&parcel.body, by, now);
            }
            let parcel = &mut self.parcels[number];
            parcel.over = parcel.copies == 0;
            if !parcel.over {
                parcel.copies -= 1;
                self.later(now + again, Due::Deliver(number));
            }
            return;
        }
        let most = if parcel.from.system == System::Timerex && !parcel.from.extension { 3 } else { 9 };
        parcel.over = parcel.tries >= most;
        if !parcel.over {
            let pause = Duration::from_secs(10) * 2_u32.pow(parcel.tries.min(8)) + wait;
            self.later(now + pause, Due::Deliver(number));
        }
    }
}

/// Whom a request is for.
fn addressee(request: &Request) -> Option<StandIn> {
    core::addressee(request.uri().path()).map(|(at, _)| at)
}
