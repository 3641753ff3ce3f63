//! The stage: replicas of the real service on one store, in a world of virtual time, until everything has come to rest.
//!
//! Each replica is what [`assemble`] wires, run by its own workers; only sockets and the machine's clock are not there. The
//! runtime has one thread: when nothing in it can go on, it says so, and the stage moves the clock to what comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::idle::Idle;
use super::people::{Desk, Typed, Wish, account};
use super::replica::{Door, Replica};
use super::story::{Act, Deed, REPLICAS, Trouble, Verb, What};
use super::twin::{Beside, Kept};
use super::winners::Hands;
use super::wire;
use super::world::{Due, Shared, World, lock};
use crate::clock::{Clock, ManualClock, Millis};
use crate::config::Config;
use crate::model::{Kind, System};
use crate::receive::Arrival;
use crate::reconcile::{Report, Scope};
use crate::sandbox::signing::Signer;
use crate::sandbox::{SandboxSettings, StandIn, Workspace};
use crate::store::memory::Memory;
use crate::store::{Entities, Outlook, Workspaces};

/// When it all begins.
pub const BEGINNING: Millis = Millis(1_772_442_000_000);
/// A pause in which nothing is done is skipped from here on.
const QUIET: Duration = Duration::from_secs(30);
/// How often the clock may be moved in one history.
const MOVES: u64 = 150_000;

/// The stage.
pub struct Stage {
    /// What is outside of the service.
    pub world: Shared,
    /// What is kept, without pauses.
    pub store: Memory,
    /// The same in SQLite, in some histories.
    pub beside: Option<Arc<Beside>>,
    /// The configuration of all replicas.
    pub config: Config,
    /// The accounts.
    pub settings: SandboxSettings,
    /// What people set.
    pub typed: Vec<Typed>,
    /// How many deeds were done in each workspace.
    pub deeds: BTreeMap<usize, usize>,
    /// The number of the first request after all had come to rest.
    pub reconciled_from: u64,
    /// What people did.
    pub hands: Hands,
    /// What the last round of reconciling reported, one a workspace.
    pub reports: Vec<Report>,
    clock: ManualClock,
    idle: Idle,
    replicas: Vec<Replica>,
    acts: Vec<Act>,
    made: BTreeMap<(usize, System, Kind), Vec<String>>,
    tokens: u32,
    seed: u64,
    busy: Millis,
    moves: u64,
}

/// It never came to rest.
#[derive(Debug, thiserror::Error)]
#[error("it does not come to rest: {0}")]
pub struct Restless(String);

impl Stage {
    /// A stage at the beginning of a history.
    pub fn new(
        settings: SandboxSettings,
        config: Config,
        acts: Vec<Act>,
        seed: u64,
        idle: Idle,
        beside: Option<Arc<Beside>>,
    ) -> Result<Self> {
        let clock = ManualClock::at(BEGINNING);
        let world = World::new(&settings, Signer::new(&settings)?, clock.clone(), REPLICAS, seed);
        Ok(Self {
            world: Arc::new(Mutex::new(world)),
            store: Memory::new(),
            beside,
            config,
            settings,
            typed: Vec::new(),
            deeds: BTreeMap::new(),
            reconciled_from: 0,
            hands: Hands::default(),
            reports: Vec::new(),
            clock,
            idle,
            replicas: (0..REPLICAS).map(|_| Replica::default()).collect(),
            acts,
            made: BTreeMap::new(),
            tokens: 0,
            seed,
            busy: BEGINNING,
            moves: 0,
        })
    }

    /// Plays the history to its end; then troubles are over, everything comes to rest, and all is reconciled once.
    pub async fn play(&mut self) -> Result<(), Restless> {
        {
            let mut world = lock(&self.world);
            for replica in 0..REPLICAS {
                world.later(BEGINNING, Due::Start(replica));
            }
            for (at, act) in self.acts.iter().enumerate() {
                world.later(BEGINNING + Duration::from_secs(2) + act.after, Due::Act(at));
            }
        }
        self.until(|stage| lock(&stage.world).next().is_none()).await?;
        lock(&self.world).heal();
        for replica in 0..REPLICAS {
            self.start(replica);
        }
        self.rest().await?;
        // Lists lag behind.
        self.pass(Duration::from_mins(1));
        self.reconciled_from = lock(&self.world).sandbox.next_request();
        self.reconcile_all().await
    }

    /// Reconciles every workspace and comes to rest.
    pub async fn reconcile_all(&mut self) -> Result<(), Restless> {
        let found = Arc::new(Mutex::new(Vec::new()));
        for workspace in 0..self.settings.workspaces.len() {
            let name = self.settings.workspaces[workspace].name.clone();
            let mut patience = 600;
            while !self.reconcile(workspace, Some(found.clone())) {
                patience -= 1;
                if patience == 0 {
                    return Err(Restless(format!("nobody takes the lease on {name}")));
                }
                self.step().await?;
            }
        }
        let wanted = self.settings.workspaces.len();
        let counted = found.clone();
        self.until(move |_| counted.lock().unwrap_or_else(PoisonError::into_inner).len() == wanted).await?;
        self.rest().await?;
        self.reports = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Runs until nothing is on its way and nothing is due.
    pub async fn rest(&mut self) -> Result<(), Restless> {
        loop {
            self.until(|stage| lock(&stage.world).next().is_none()).await?;
            let mut left = (lock(&self.world).under_way > 0).then(|| "a webhook is taken in".to_owned());
            for one in &self.settings.workspaces {
                let outlook = self.store.outlook(&one.name, self.clock.now()).await;
                let due = outlook.map_err(|error| Restless(error.to_string()))?.and_then(Outlook::first);
                left = left.or(due.map(|due| format!("{}: due at {due}", one.name)));
            }
            if left.is_none() {
                return Ok(());
            }
            self.step().await.map_err(|Restless(why)| Restless(format!("{why}; {}", left.unwrap_or_default())))?;
        }
    }

    async fn until(&mut self, done: impl Fn(&Self) -> bool) -> Result<(), Restless> {
        loop {
            self.idle.wait().await;
            if done(self) {
                return Ok(());
            }
            self.step().await?;
        }
    }

    /// Lets everything run that can, then moves the clock to what comes next and does it.
    async fn step(&mut self) -> Result<(), Restless> {
        self.idle.wait().await;
        self.moves += 1;
        if self.moves > MOVES {
            return Err(Restless(format!("the clock was moved {MOVES} times")));
        }
        let now = self.clock.now();
        let coming = lock(&self.world).next();
        let sleeper = self.clock.next();
        let to = match (coming, sleeper) {
            (Some(coming), _) if coming <= now => coming,
            (Some(coming), Some(sleeper)) if now.since(self.busy) < QUIET => coming.min(sleeper),
            (None, Some(sleeper)) if now.since(self.busy) < QUIET => sleeper,
            (coming, sleeper) => self.skip(coming, sleeper).await,
        };
        self.clock.advance(to.since(now));
        let due = lock(&self.world).take();
        if let Some(due) = due {
            self.busy = self.clock.now();
            self.happen(due).await;
        }
        Ok(())
    }

    /// Nothing has been done for a while: the clock goes to what is due next, past those who only look from time to time.
    async fn skip(&self, coming: Option<Millis>, sleeper: Option<Millis>) -> Millis {
        let now = self.clock.now();
        let mut next = coming;
        for one in &self.settings.workspaces {
            let due = self.store.outlook(&one.name, now).await.ok().flatten().and_then(Outlook::first);
            // What is due already is worked by whoever looks next.
            let due = if due.is_some_and(|due| due <= now) { sleeper } else { due };
            next = [next, due].into_iter().flatten().min();
        }
        let next = next.or(sleeper).unwrap_or(now);
        sleeper.map_or(next, |sleeper| next.max(sleeper))
    }

    async fn happen(&mut self, due: Due) {
        match due {
            Due::Apply(flight) => lock(&self.world).apply(*flight),
            Due::Answer(caller, reply) => lock(&self.world).answer(caller, *reply),
            Due::Deliver(number) => self.deliver(number),
            Due::Start(replica) => self.start(replica),
            Due::Wish(deed, wish) => self.make(deed, *wish),
            Due::Act(at) => {
                let act = self.acts[at].clone();
                match act.what {
                    What::Deed(deed) => self.deed(deed, act.seed).await,
                    What::Trouble(trouble) => self.trouble(trouble, act.seed),
                }
            }
        }
    }

    fn start(&mut self, number: usize) {
        let kept = Kept { memory: self.store.clone(), beside: self.beside.clone() };
        self.replicas[number].start(number, self.seed, &self.config, &kept, &self.world);
    }

    fn trouble(&mut self, trouble: Trouble, seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let now = self.clock.now();
        match trouble {
            Trouble::Answers(at, _, count)
            | Trouble::LateWrites(at, count)
            | Trouble::Unreachable(at, count)
            | Trouble::Double(at, count)
            | Trouble::Lose(at, count)
            | Trouble::Shuffle(at, count)
            | Trouble::Delay(at, count) => return lock(&self.world).plan(at, trouble, count),
            Trouble::Skew(at, ms) => {
                self.hands.set_clock(at, now);
                lock(&self.world).sandbox.faults.skew(at, ms);
            }
            Trouble::Crash(number) => {
                self.replicas[number].kill();
                let down = Duration::from_millis(rng.u64(100..60_000));
                lock(&self.world).later(now + down, Due::Start(number));
            }
            Trouble::Freeze(number) => {
                let lasts = self.config.dispatch.lease + Duration::from_millis(rng.u64(1_000..30_000));
                lock(&self.world).freeze(number, now + lasts);
            }
            Trouble::Reconcile(workspace) => drop(self.reconcile(workspace, None)),
            Trouble::Strange(workspace, strange) => {
                let account = &self.settings.workspaces[workspace].ghl_location;
                lock(&self.world).post_strange(account, strange, seed);
            }
        }
        let mut world = lock(&self.world);
        world.tell(|| format!("{trouble:?}"));
        world.count(format!("fault/{}", trouble.word()));
    }

    /// Reconciles a workspace by the replica that holds its lease; `false`: none does.
    fn reconcile(&mut self, workspace: usize, found: Option<Arc<Mutex<Vec<Report>>>>) -> bool {
        let name = &self.settings.workspaces[workspace].name;
        for replica in &mut self.replicas {
            let leased = |door: &Door| {
                let held = door.holder.lease(name).is_some();
                held.then(|| (door.stages.clone(), door.served.clone()))
            };
            let Some((stages, served)) = replica.with(leased).flatten() else { continue };
            let (site, world) = (served.sites[name].clone(), self.world.clone());
            let under_way = Reconciling::new(&world);
            replica.tasks.spawn(async move {
                let run = stages.reconciler.run(&site, Scope { full: true, dry_run: false });
                let report = wire::reconciling(run).await;
                served.wake();
                drop(under_way);
                match report {
                    Ok(report) => {
                        if let Some(found) = found {
                            found.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                        }
                    }
                    Err(_) => lock(&world).count("broken/a reconcile failed"),
                }
            });
            return true;
        }
        false
    }

    /// A webhook is sent to one of the replicas that are up.
    fn deliver(&mut self, number: usize) {
        let (arrival, which) = {
            let mut world = lock(&self.world);
            let which = world.counts.len() + number;
            (self.arrival(&mut world, number), which)
        };
        let up: Vec<usize> = (0..REPLICAS).filter(|at| self.replicas[*at].with(|_| ()).is_some()).collect();
        let frozen = |at: &usize| lock(&self.world).frozen[*at] > self.clock.now();
        let up: Vec<usize> = up.into_iter().filter(|at| !frozen(at)).collect();
        lock(&self.world).under_way += 1;
        if up.is_empty() {
            return lock(&self.world).delivered(number, false);
        }
        let replica = &mut self.replicas[up[which % up.len()]];
        let Some(intake) = replica.with(|door| door.intake.clone()) else {
            return lock(&self.world).delivered(number, false);
        };
        let sent = Sent { world: self.world.clone(), number, acknowledged: false };
        replica.tasks.spawn(async move { sent.answered(intake.accept(arrival).await.is_ok()) });
    }

    fn arrival(&self, world: &mut World, number: usize) -> Arrival {
        let parcel = &world.parcels[number];
        let now = world.sandbox.faults.clock(parcel.from, self.clock.now());
        let headers = world.signer.headers(parcel.from, &parcel.account, &parcel.id, now, &parcel.body);
        let headers: HeaderMap = headers
            .iter()
            .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?)))
            .collect();
        let own = |one: &&Workspace| account(one, parcel.from.system) == parcel.account;
        let named = self.settings.workspaces.iter().find(own).filter(|_| parcel.from.extension);
        let workspace = named.map(|one| one.name.clone());
        Arrival { system: parcel.from.system, workspace, headers, body: parcel.body.clone() }
    }

    /// A person does something.
    async fn deed(&mut self, deed: Deed, seed: u64) {
        let name = self.settings.workspaces[deed.workspace].name.clone();
        let mut known = BTreeMap::new();
        for kind in Kind::ALL {
            let linked = self.store.live_links(&name, deed.system, *kind).await.unwrap_or_default();
            let mut ids: Vec<String> = linked.into_iter().map(|link| link.id.0).collect();
            ids.extend(self.made.get(&(deed.workspace, deed.system, *kind)).into_iter().flatten().cloned());
            ids.sort();
            ids.dedup();
            known.insert((deed.system, *kind), ids);
        }
        let rivals = self.rivals(deed, seed).await;
        let own: Vec<Typed> = self.typed.iter().filter(|typed| typed.workspace == deed.workspace).cloned().collect();
        let mut desk = Desk {
            account: &self.settings.workspaces[deed.workspace],
            known: &known,
            typed: &own,
            token: self.tokens,
            now: self.clock.now(),
            rng: fastrand::Rng::with_seed(seed),
        };
        let wishes = match deed.verb {
            Verb::Clash(kind) if !rivals.is_empty() => desk.clash(kind, &rivals),
            Verb::DeleteRace(kind) if !rivals.is_empty() => desk.delete_race(kind, &rivals),
            _ => desk.wishes(deed),
        };
        let (mut pauses, mut at) = (desk.rng, self.clock.now());
        self.tokens = desk.token;
        for wish in wishes {
            if deed.verb == Verb::Burst {
                lock(&self.world).later(at, Due::Wish(deed, Box::new(wish)));
                at = at + Duration::from_millis(pauses.u64(0..2_000));
            } else {
                self.make(deed, wish);
            }
        }
    }

    /// Two places of one object of the deed's system, if somebody else has a hand in it and there is one.
    async fn rivals(&self, deed: Deed, seed: u64) -> Vec<(System, String)> {
        let (Verb::Clash(kind) | Verb::DeleteRace(kind)) = deed.verb else { return Vec::new() };
        let mut rng = fastrand::Rng::with_seed(seed);
        let name = &self.settings.workspaces[deed.workspace].name;
        let linked = self.store.live_links(name, deed.system, kind).await.unwrap_or_default();
        let Some(one) = linked.get(rng.usize(..linked.len().max(1))) else { return Vec::new() };
        let whole = self.store.whole(one.entity).await.ok().flatten();
        let others: Vec<_> = whole
            .into_iter()
            .flat_map(|whole| whole.links)
            .filter(|link| link.is_live() && link.system != deed.system)
            .collect();
        let Some(other) = others.get(rng.usize(..others.len().max(1))) else { return Vec::new() };
        vec![(one.system, one.id.0.clone()), (other.system, other.id.0.clone())]
    }

    fn make(&mut self, deed: Deed, wish: Wish) {
        let now = self.clock.now();
        let mut world = lock(&self.world);
        let before = world.values(wish.at, wish.edit.id.as_deref().unwrap_or(""));
        let Ok((id, webhooks)) = world.sandbox.edit(now, wish.at, &wish.edit) else {
            return world.count("deed/refused");
        };
        for webhook in &webhooks {
            world.post(webhook);
        }
        let word = format!("{:?}", deed.verb);
        world.count(format!("deed/{}", word.to_lowercase()));
        let after = world.values(wish.at, &id);
        world.tell(|| format!("{:?} {:?} -> {id}", deed, wish.edit));
        // Who deletes had also what stands beside it in an extension, and what stood there until a write of ours took it away,
        // late, and nobody heard of that.
        let mut taken = BTreeSet::new();
        if wish.edit.action == "delete" {
            world.gone.by_people(&id, now);
            taken.extend(world.written.taken_unheard(&id));
            taken.extend(world.values(StandIn::extension(wish.at.system), &id));
        }
        drop(world);
        // What is moved in TimeRex is another booking from then on.
        [Some(&id), wish.edit.id.as_ref()].into_iter().flatten().for_each(|id| self.hands.touch(id, now));
        *self.deeds.entry(deed.workspace).or_default() += 1;
        // Who sets a value has seen the one that was there, whoever typed that in.
        let stood = |edit: &u32| before.contains(edit) || taken.contains(edit);
        let gone = |typed: &&mut Typed| stood(&typed.token) && !after.contains(&typed.token);
        self.typed.iter_mut().filter(gone).for_each(|typed| typed.replaced = true);
        before.difference(&after).for_each(|edit| self.hands.take(&id, *edit));
        // As the phone of somebody who stands elsewhere.
        let sets = |edit: &&u32| wish.sets.iter().any(|(_, _, token)| token == *edit);
        after.difference(&before).filter(|edit| !sets(edit)).for_each(|edit| self.hands.set(*edit, &before));
        let kind: Kind = wish.edit.kind.parse().unwrap_or(Kind::Contact);
        if matches!(deed.verb, Verb::Make(_) | Verb::Twin) || wish.edit.action == "move" {
            self.made.entry((deed.workspace, deed.system, kind)).or_default().push(id.clone());
        }
        for (field, value, token) in wish.sets {
            let mut world = lock(&self.world);
            // Who sets what is there already has edited nothing.
            if token != 0 && before.contains(&token) {
                continue;
            }
            self.hands.set(token, &before);
            // Nor is there anything to be seen where it was set back before anybody looked.
            if token != 0 && world.seen.shows(&id, token) {
                continue;
            }
            // A value that is set again is another edit: that the service saw the former one tells nothing of it.
            world.seen.set(&id, token);
            let (workspace, system, id) = (deed.workspace, wish.at.system, id.clone());
            self.typed.push(Typed { token, workspace, system, kind, id, field, value, replaced: false, at: now });
        }
    }
}

/// A reconcile that is under way; with a replica that is killed it ends.
struct Reconciling(Shared);

impl Reconciling {
    fn new(world: &Shared) -> Self {
        lock(world).reconciles += 1;
        Self(world.clone())
    }
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        lock(&self.0).reconciles -= 1;
    }
}

/// A webhook that is being accepted; who is killed meanwhile has not acknowledged it.
struct Sent {
    world: Shared,
    number: usize,
    acknowledged: bool,
}

impl Sent {
    fn answered(mut self, acknowledged: bool) {
        self.acknowledged = acknowledged;
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        lock(&self.world).delivered(self.number, self.acknowledged);
    }
}
