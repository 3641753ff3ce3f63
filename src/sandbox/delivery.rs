//! The outgoing webhooks: waiting, held, flying, delivered or given up; duplicated, lost or forged on demand.
//!
//! In: webhooks from the core, orders from the control API, outcomes of attempts. Out: what is to be sent now. It is pure
//! but for what the caller tells it: the shell owns the clock and the socket, [`super::signing`] the keys.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Receiver, StandIn, Webhook};
use crate::clock::Millis;
use crate::model::System;
use crate::secret::digest;

/// Finished deliveries that the log keeps.
const LOG_ROWS: usize = 50_000;

const GHL: StandIn = StandIn { system: System::Ghl, extension: false };

/// What GHL sends to the app's default URL alone, never to one for an account.
const DEFAULT_URL_ONLY: &[&str] = &["INSTALL", "UNINSTALL", "UPDATE", "PLAN_CHANGE"];

/// How a sender repeats.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// How often it tries again after the first try.
    pub retries: u32,
    /// The wait before the first repetition.
    pub first: Duration,
    /// By what each further wait grows.
    pub factor: u32,
    /// No wait is longer.
    pub longest: Duration,
}

impl Retries {
    const fn new(retries: u32, first_ms: u64, factor: u32, longest_ms: u64) -> Self {
        let (first, longest) = (Duration::from_millis(first_ms), Duration::from_millis(longest_ms));
        Self { retries, first, factor, longest }
    }

    /// The wait after so many failed tries, without jitter; none when it gives up.
    fn wait(&self, failed: u32) -> Option<Duration> {
        let again = failed.checked_sub(1).filter(|again| *again < self.retries)?;
        Some(self.first.saturating_mul(self.factor.saturating_pow(again)).min(self.longest))
    }
}

/// How webhooks are sent. The waits are scaled down: hours at the vendors are seconds here.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// GHL: 12 repetitions, exponential, with jitter.
    pub ghl: Retries,
    /// By how much of itself, at most, GHL's jitter lengthens a wait, in percent.
    pub ghl_jitter_percent: u32,
    /// How long GHL's INSTALL is held back; without, it leaves before the browser is sent back with the code.
    pub ghl_install_delay: Duration,
    /// TIMIFY: unknown at the vendor.
    pub timify: Retries,
    /// TimeRex: 2 repetitions, 10 s apart at the vendor.
    pub timerex: Retries,
    /// Extensions, by Standard Webhooks.
    pub extension: Retries,
    /// How many deliveries of one stand-in fly at a time; 1 keeps them in order while nothing fails.
    pub in_flight: usize,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            ghl: Retries::new(12, 200, 2, 10_000),
            ghl_jitter_percent: 25,
            ghl_install_delay: Duration::ZERO,
            timify: Retries::new(8, 200, 2, 10_000),
            timerex: Retries::new(2, 500, 1, 500),
            extension: Retries::new(8, 200, 2, 10_000),
            in_flight: 1,
            timeout: Duration::from_secs(15),
        }
    }
}

impl DeliverySettings {
    fn retries(&self, from: StandIn) -> Retries {
        match from.system {
            _ if from.extension => self.extension,
            System::Ghl => self.ghl,
            System::Timify => self.timify,
            System::Timerex => self.timerex,
        }
    }

    /// How long a delivery waits before its next try; none when it is given up.
    fn wait(&self, delivery: &Delivery) -> Option<Duration> {
        let failed = u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX);
        let wait = self.retries(delivery.from).wait(failed)?;
        if delivery.from != GHL {
            return Some(wait);
        }
        // The same on every run: a delivery's number and try decide it.
        let mut rng = fastrand::Rng::with_seed(delivery.number << 8 | u64::from(failed));
        Some(wait + wait * rng.u32(..=self.ghl_jitter_percent) / 100)
    }

    /// How long a new delivery waits before its first try.
    fn delay(&self, delivery: &Delivery) -> Duration {
        if delivery.from == GHL && delivery.word == "INSTALL" { self.ghl_install_delay } else { Duration::ZERO }
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Held back until released.
    Held,
    /// To be sent, now or later.
    Waiting,
    /// Being sent.
    Flying,
    /// Answered 2xx.
    Delivered,
    /// Given up.
    Failed,
    /// Thrown away on demand.
    Lost,
    /// Nobody is registered for it.
    NoReceiver,
}

/// How a delivery is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// As the vendor signs.
    Good,
    /// Of the right form, and wrong.
    #[default]
    Wrong,
    /// Not at all.
    Missing,
    /// `N/A`, as GHL writes for none.
    Na,
    /// Right, but an hour old where the scheme carries a time.
    Old,
}

/// One try.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// When it was answered or given up.
    pub at: Millis,
    /// What was answered; none for no answer.
    pub status: Option<u16>,
}

/// One webhook on its way to one receiver.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// Counts up from 0.
    pub number: u64,
    /// The webhook's id; the same for each copy.
    pub id: String,
    /// Who sends.
    #[serde(flatten)]
    pub from: StandIn,
    /// The account it speaks for.
    pub account: String,
    /// The vendor's word for what happened.
    #[serde(rename = "type")]
    pub word: String,
    /// How it stands.
    pub state: DeliveryState,
    /// How it is signed.
    pub signature: Signature,
    /// Whether it repeats another on demand.
    pub copy: bool,
    /// The tries so far.
    pub attempts: Vec<Attempt>,
    /// SHA-256 of the body, hexadecimal: by it the receiver's row can be told where the vendor sends no id.
    pub body_sha256: String,
    /// Where it goes, if not to the registered receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_to: Option<String>,
    #[serde(skip)]
    body: Bytes,
    #[serde(skip)]
    due: Millis,
    #[serde(skip)]
    place: i64,
}

/// What is to be sent now.
#[derive(Debug)]
pub struct Sending {
    /// The delivery.
    pub number: u64,
    /// Who sends.
    pub from: StandIn,
    /// The account it speaks for.
    pub account: String,
    /// The webhook's id.
    pub id: String,
    /// Where to.
    pub url: String,
    /// What, to the byte.
    pub body: Bytes,
    /// How it is signed.
    pub signature: Signature,
    /// Whether it is a push, which carries no proof but what is in its body.
    pub push: bool,
}

/// All deliveries.
pub struct Outbox {
    settings: DeliverySettings,
    receivers: Vec<Receiver>,
    /// Waiting, held and flying ones.
    open: BTreeMap<u64, Delivery>,
    done: BTreeMap<u64, Delivery>,
    next: u64,
    /// Per stand-in: how many more deliveries are held back; none is all.
    holds: BTreeMap<StandIn, Option<u32>>,
    doubles: BTreeMap<StandIn, u32>,
    losses: BTreeMap<StandIn, u32>,
}

impl Outbox {
    /// An empty one.
    pub fn new(settings: DeliverySettings, receivers: Vec<Receiver>) -> Self {
        Self {
            settings,
            receivers,
            open: BTreeMap::new(),
            done: BTreeMap::new(),
            next: 0,
            holds: BTreeMap::new(),
            doubles: BTreeMap::new(),
            losses: BTreeMap::new(),
        }
    }

    /// Takes a webhook to be sent; a duplicate on demand becomes a second delivery of the same id and body.
    pub fn accept(&mut self, webhook: &Webhook, now: Millis) {
        let from = StandIn { system: webhook.system, extension: webhook.extension };
        let body = Bytes::from(webhook.body.to_string());
        let lost = spend(&mut self.losses, from);
        let copies = u32::from(!lost && spend(&mut self.doubles, from));
        for copy in 0..=copies {
            let held = match self.holds.get_mut(&from) {
                None | Some(Some(0)) => false,
                Some(None) => true,
                Some(Some(left)) => {
                    *left -= 1;
                    true
                }
            };
            let state = if held { DeliveryState::Held } else { DeliveryState::Waiting };
            let number = self.add(webhook, from, body.clone(), now);
            if let Some(delivery) = self.open.get_mut(&number) {
                (delivery.state, delivery.copy) = (state, copy > 0);
            }
            if lost {
                self.close(number, DeliveryState::Lost);
            }
        }
    }

    /// Sends a body that the stand-in never made, or signs it wrong; gives the delivery's number. It is never repeated
    /// unless it is signed well.
    pub fn forge(&mut self, webhook: &Webhook, body: Bytes, signature: Signature, now: Millis) -> u64 {
        let from = StandIn { system: webhook.system, extension: webhook.extension };
        let number = self.add(webhook, from, body, now);
        if let Some(delivery) = self.open.get_mut(&number) {
            delivery.signature = signature;
        }
        number
    }

    /// Holds back all, or the next `count`, new deliveries of a stand-in.
    pub fn hold(&mut self, from: StandIn, count: Option<u32>) {
        self.holds.insert(from, count);
    }

    /// Lets the held deliveries of a stand-in go, in their order or reversed; gives their number.
    pub fn release(&mut self, from: StandIn, reversed: bool, now: Millis) -> usize {
        self.holds.remove(&from);
        let held = |one: &&mut Delivery| one.from == from && one.state == DeliveryState::Held;
        let mut held: Vec<_> = self.open.values_mut().filter(held).collect();
        let mut places: Vec<_> = held.iter().map(|one| one.place).collect();
        if reversed {
            places.reverse();
        }
        for (delivery, place) in held.iter_mut().zip(places) {
            (delivery.state, delivery.place, delivery.due) = (DeliveryState::Waiting, place, now);
        }
        held.len()
    }

    /// Sends each of the next `count` deliveries of a stand-in twice.
    pub fn duplicate(&mut self, from: StandIn, count: u32) {
        self.doubles.insert(from, count);
    }

    /// Throws the next `count` deliveries of a stand-in away.
    pub fn lose(&mut self, from: StandIn, count: u32) {
        self.losses.insert(from, count);
    }

    /// Sets where webhooks go; an earlier receiver of the same stand-in and account is replaced.
    pub fn register(&mut self, receiver: Receiver) {
        self.receivers.retain(|old| old.stand_in() != receiver.stand_in() || old.account != receiver.account);
        self.receivers.push(receiver);
    }

    /// Where webhooks go.
    pub fn receivers(&self) -> &[Receiver] {
        &self.receivers
    }

    /// Takes what is to be sent now, as many of each stand-in as may fly at a time.
    pub fn take_due(&mut self, now: Millis) -> Vec<Sending> {
        let mut flying: BTreeMap<StandIn, usize> = BTreeMap::new();
        for delivery in self.open.values().filter(|one| one.state == DeliveryState::Flying) {
            *flying.entry(delivery.from).or_default() += 1;
        }
        let due = |one: &&Delivery| one.state == DeliveryState::Waiting && one.due <= now;
        let mut due: Vec<_> = self.open.values().filter(due).map(|one| (one.place, one.number, one.from)).collect();
        due.sort_unstable();
        let mut sendings = Vec::new();
        for (_, number, from) in due {
            let flying = flying.entry(from).or_default();
            if *flying < self.settings.in_flight
                && let Some(sending) = self.start(number)
            {
                *flying += 1;
                sendings.push(sending);
            }
        }
        sendings
    }

    /// When the next waiting delivery is due, where one waits for its time.
    pub fn next_due(&self, now: Millis) -> Option<Millis> {
        let waiting = self.open.values().filter(|one| one.state == DeliveryState::Waiting && one.due > now);
        waiting.map(|one| one.due).min()
    }

    /// Takes the outcome of a try: 2xx is delivered, all else is repeated until the sender gives up.
    pub fn settle(&mut self, number: u64, status: Option<u16>, now: Millis) {
        let Some(delivery) = self.open.get_mut(&number) else {
            return;
        };
        delivery.attempts.push(Attempt { at: now, status });
        if status.is_some_and(|status| (200..300).contains(&status)) {
            return self.close(number, DeliveryState::Delivered);
        }
        let again = self.settings.wait(delivery);
        match again.filter(|_| delivery.signature == Signature::Good) {
            Some(wait) => (delivery.state, delivery.due) = (DeliveryState::Waiting, now + wait),
            None => self.close(number, DeliveryState::Failed),
        }
    }

    /// The deliveries from a number on, in order.
    pub fn list(&self, since: u64) -> Vec<&Delivery> {
        let mut all: Vec<_> = self.done.range(since..).chain(self.open.range(since..)).map(|(_, one)| one).collect();
        all.sort_by_key(|one| one.number);
        all
    }

    /// How many deliveries are still to be sent or being sent; held ones do not count.
    pub fn pending(&self) -> usize {
        self.open.values().filter(|one| one.state != DeliveryState::Held).count()
    }

    /// The number that the next delivery will get.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    fn add(&mut self, webhook: &Webhook, from: StandIn, body: Bytes, now: Millis) -> u64 {
        let number = self.next;
        self.next += 1;
        let word = ["type", "webhook_type", "event", "eventType", "status"]
            .iter()
            .find_map(|key| webhook.body.get(*key)?.as_str());
        let mut delivery = Delivery {
            number,
            id: webhook.id.clone(),
            from,
            account: webhook.account.clone(),
            word: word.unwrap_or("").to_owned(),
            state: DeliveryState::Waiting,
            signature: Signature::Good,
            copy: false,
            attempts: Vec::new(),
            push_to: webhook.push_to.clone(),
            body_sha256: hex::encode(digest(&body)),
            body,
            due: now,
            place: number.cast_signed(),
        };
        delivery.due = now + self.settings.delay(&delivery);
        self.open.insert(number, delivery);
        number
    }

    fn start(&mut self, number: u64) -> Option<Sending> {
        let delivery = self.open.get_mut(&number)?;
        let fits = |own: bool| {
            self.receivers.iter().find(|one| {
                let account = one.account.as_ref();
                one.stand_in() == delivery.from
                    && if own { account == Some(&delivery.account) } else { account.is_none() }
            })
        };
        let default_only = delivery.from == GHL && DEFAULT_URL_ONLY.contains(&delivery.word.as_str());
        let own = if default_only { None } else { fits(true) };
        let registered = || own.or_else(|| fits(false)).map(|receiver| receiver.url.clone());
        let Some(url) = delivery.push_to.clone().or_else(registered) else {
            self.close(number, DeliveryState::NoReceiver);
            return None;
        };
        delivery.state = DeliveryState::Flying;
        Some(Sending {
            number,
            from: delivery.from,
            account: delivery.account.clone(),
            id: delivery.id.clone(),
            url,
            body: delivery.body.clone(),
            signature: delivery.signature,
            push: delivery.push_to.is_some(),
        })
    }

    fn close(&mut self, number: u64, state: DeliveryState) {
        if let Some(mut delivery) = self.open.remove(&number) {
            delivery.state = state;
            delivery.body = Bytes::new();
            self.done.insert(number, delivery);
        }
        while self.done.len() > LOG_ROWS {
            self.done.pop_first();
        }
    }
}

fn spend(counts: &mut BTreeMap<StandIn, u32>, from: StandIn) -> bool {
    counts.get_mut(&from).filter(|left| **left > 0).is_some_and(|left| {
        *left -= 1;
        true
    })
}
