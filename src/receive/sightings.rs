//! Which ways of proving a webhook still come: a scheme that stops appearing is noticed before the last one does.
//!
//! In: each webhook that was proven or refused. Out: [`Alarm`]s, in the log and for `/health`. Watched are, for each
//! credential, the header of each of its schemes (GHL's newer signature beside its older one), and, for each route, that
//! anything on it is proven at all. An alarm begins when many webhooks came over some time without what used to come, and
//! ends when it comes again. Who is not proven can only raise the alarm of a route on which nobody else is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Gate;
use crate::clock::Millis;
use crate::model::System;
use crate::store::{StoreError, Workspaces};
use crate::verify::{Check, Refusal, VerifiedWebhook};

/// Webhooks that must have come without it.
const DELIVERIES: u32 = 20;
/// And the time since it came last.
const SILENCE: Duration = Duration::from_hours(1);
/// The end of a scheme that has a date is expected from this long before it.
const NEAR: Duration = Duration::from_hours(7 * 24);
/// Where the times are kept: under a name that no workspace has.
const KEPT: (&str, &str) = ("", "receive/sightings");

/// What used to come and does not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The route.
    pub system: System,
    /// The header that stays away; `None`: nothing on the route is proven.
    pub header: Option<String>,
    /// When it came last.
    pub last_seen: Millis,
    /// What is the matter and what can be done, for people.
    pub text: String,
}

/// What is watched: the header of a credential, or a route as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    system: System,
    /// The credential and the header.
    header: Option<(String, String)>,
}

impl Subject {
    /// `None`: nothing in the headers tells, as of push notifications, which may come seldom.
    fn of(system: System, check: &Check) -> Option<Self> {
        let header = check.header.as_ref()?.as_str().to_owned();
        Some(Self { system, header: Some((check.credential.clone(), header)) })
    }

    fn route(system: System) -> Self {
        Self { system, header: None }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.header {
            Some((credential, header)) => write!(f, "{} {credential} {header}", self.system),
            None => write!(f, "{}", self.system),
        }
    }
}

#[derive(Debug, Default)]
struct Watch {
    /// When it came last; `None`: never, so that nothing is missed.
    seen: Option<Millis>,
    /// Webhooks since then.
    without: u32,
    /// When the scheme ends.
    until: Option<Millis>,
    alarm: Option<Alarm>,
    /// An expected end was told.
    told: bool,
}

/// Watches what comes in.
#[derive(Debug, Default)]
pub struct Sightings(Mutex<BTreeMap<Subject, Watch>>);

impl Sightings {
    pub(super) fn new(gates: &BTreeMap<System, Gate>) -> Self {
        let mut watches = BTreeMap::new();
        for (system, gate) in gates {
            watches.insert(Subject::route(*system), Watch::default());
            for check in &gate.checks {
                let watch = Watch { until: check.until, ..Watch::default() };
                watches.extend(Subject::of(*system, check).map(|subject| (subject, watch)));
            }
        }
        Self(Mutex::new(watches))
    }

    /// A webhook was proven. What its credential's other headers would have proven is not checked: that they are there, on
    /// a webhook of the true sender, is what counts.
    pub(super) fn proven(&self, checks: &[Check], webhook: &VerifiedWebhook, now: Millis) {
        let system = webhook.raw().system;
        let mut watches = self.lock();
        let mut note = |subject: Subject, there: bool| {
            let Some(watch) = watches.get_mut(&subject) else { return };
            if there { watch.came(&subject, now) } else { watch.stayed_away(&subject, now, None) }
        };
        let mut own = checks.iter().filter(|check| check.credential == webhook.credential()).peekable();
        // A push says nothing of the webhooks beside it.
        if own.peek().is_some_and(|check| check.header.is_some()) {
            note(Subject::route(system), true);
        }
        for check in own {
            if let Some(subject) = Subject::of(system, check) {
                note(subject, check.is_in(&webhook.raw().headers));
            }
        }
    }

    /// A webhook was refused.
    pub(super) fn refused(&self, system: System, refusal: Refusal, now: Millis) {
        let subject = Subject::route(system);
        if let Some(watch) = self.lock().get_mut(&subject) {
            watch.stayed_away(&subject, now, Some(refusal));
        }
    }

    /// What stays away at present.
    pub fn alarms(&self) -> Vec<Alarm> {
        self.lock().values().filter_map(|watch| watch.alarm.clone()).collect()
    }

    /// Takes over what was seen before we started, or by others, and keeps what we saw. To be called when starting, and
    /// from time to time.
    pub async fn keep(&self, store: &dyn Workspaces, now: Millis) -> Result<(), StoreError> {
        let kept = store.cursor(KEPT.0, KEPT.1).await?.unwrap_or_default();
        let kept: BTreeMap<String, Millis> = serde_json::from_str(&kept).unwrap_or_default();
        let both = self.merged(&kept);
        if both == kept {
            return Ok(());
        }
        let text = serde_json::to_string(&both).unwrap_or_default();
        store.set_cursor(KEPT.0, KEPT.1, &text, now).await
    }

    /// The later time of each; what is no longer configured is left out.
    fn merged(&self, kept: &BTreeMap<String, Millis>) -> BTreeMap<String, Millis> {
        let mut both = BTreeMap::new();
        for (subject, watch) in self.lock().iter_mut() {
            let name = subject.to_string();
            if let Some(theirs) = kept.get(&name).copied().filter(|theirs| watch.seen.is_none_or(|ours| ours < *theirs))
            {
                watch.came(subject, theirs);
            }
            both.extend(watch.seen.map(|seen| (name, seen)));
        }
        both
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Subject, Watch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    fn came(&mut self, subject: &Subject, at: Millis) {
        if self.alarm.take().is_some() {
            tracing::info!(%subject, "what had stopped appearing comes again");
        }
        (self.seen, self.without, self.told) = (Some(at), 0, false);
    }

    fn stayed_away(&mut self, subject: &Subject, now: Millis, refusal: Option<Refusal>) {
        let Some(last_seen) = self.seen else { return };
        self.without = self.without.saturating_add(1);
        if self.without < DELIVERIES || now.since(last_seen) < SILENCE || self.alarm.is_some() || self.told {
            return;
        }
        self.told = true;
        if let Some(until) = self.until.filter(|until| now >= *until - NEAR) {
            tracing::info!(
                %subject, last_seen = %last_seen, %until,
                "the older signature no longer comes, as announced: its keys (`rsa_keys`) can be taken out of the \
                 configuration"
            );
            return;
        }
        let text = text(subject, last_seen, refusal);
        tracing::error!(%subject, last_seen = %last_seen, without = self.without, "{text}");
        let header = subject.header.as_ref().map(|(_, header)| header.clone());
        self.alarm = Some(Alarm { system: subject.system, header, last_seen, text });
    }
}

fn text(subject: &Subject, last_seen: Millis, refusal: Option<Refusal>) -> String {
    let system = subject.system;
    match (&subject.header, refusal) {
        (Some((credential, header)), _) => format!(
            "webhooks of {credential} come without `{header}` since {last_seen}; they are still proven in another way. \
             Ask {system} whether this signature has ended or a gateway takes it out, before the other one goes too"
        ),
        (None, refusal) => format!(
            "all webhooks at /webhooks/{system} are refused since {last_seen}{}. Compare its keys, tokens and headers \
             with the configuration; reconciling brings in what was refused",
            refusal.map(|refusal| format!(" (the last one: {refusal})")).unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::secret::Secret;
    use crate::systems::{Door, Envelope};
    use crate::verify::{Keys, RawWebhook, SigningSecret, TokenDigest, verify};

    const START: Millis = Millis(1_780_000_000_000);

    struct Blind;

    impl Door for Blind {
        fn envelope(&self, _: &VerifiedWebhook) -> Envelope {
            Envelope::unparsed("")
        }
        fn secrets(&self) -> &'static [&'static str] {
            &[]
        }
    }

    /// One credential with two headers, and one with another.
    fn checks(until: Option<Millis>) -> Vec<Check> {
        let token = |text: &str| Keys::StaticToken(vec![TokenDigest::of(&Secret::new(text))]);
        let code = Keys::HmacSha256(vec![SigningSecret::text(&Secret::new("gateway"))]);
        let list =
            [("a", "x-newer", token("newer"), None), ("a", "x-older", code, until), ("b", "x-b", token("b"), None)];
        let check = |(credential, header, keys, until): (&str, &'static str, Keys, Option<Millis>)| Check {
            credential: credential.to_owned(),
            speaks_for: Vec::new(),
            extension: false,
            header: Some(HeaderName::from_static(header)),
            keys,
            until,
            rule: None,
        };
        list.into_iter().map(check).collect()
    }

    fn sightings(checks: &[Check]) -> Sightings {
        let gate = Gate { checks: checks.to_vec(), door: Arc::new(Blind) };
        Sightings::new(&[(System::Ghl, gate)].into())
    }

    /// So many webhooks with these headers, one a minute.
    fn come(
        sightings: &Sightings,
        checks: &[Check],
        at: &mut Millis,
        times: u32,
        sent: &[(&'static str, &'static str)],
    ) {
        for _ in 0..times {
            *at = *at + Duration::from_mins(1);
            let headers: HeaderMap = sent
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let raw = RawWebhook { system: System::Ghl, workspace: None, headers, body: Bytes::new(), received: *at };
            match verify(checks, raw, *at) {
                Ok(webhook) => sightings.proven(checks, &webhook, *at),
                Err(refusal) => sightings.refused(System::Ghl, refusal, *at),
            }
        }
    }

    const BOTH: &[(&str, &str)] = &[("x-newer", "newer"), ("x-older", "whatever")];
    const NEWER: &[(&str, &str)] = &[("x-newer", "newer")];
    const OTHER: &[(&str, &str)] = &[("x-b", "b")];
    const NA: &[(&str, &str)] = &[("x-newer", "newer"), ("x-older", "N/A")];

    #[test]
    fn a_header_that_stops_appearing_raises_an_alarm_until_it_comes_again() {
        let checks = checks(None);
        let (sightings, mut at) = (sightings(&checks), START);
        come(&sightings, &checks, &mut at, 1, BOTH);
        let last_seen = at;
        come(&sightings, &checks, &mut at, 59, NA);
        assert_eq!(sightings.alarms(), [], "an hour is not over");
        come(&sightings, &checks, &mut at, 1, NEWER);
        let alarms = sightings.alarms();
        assert_eq!(alarms.len(), 1);
        assert_eq!((alarms[0].header.as_deref(), alarms[0].last_seen), (Some("x-older"), last_seen));
        assert!(alarms[0].text.contains("`x-older`"), "{}", alarms[0].text);
        come(&sightings, &checks, &mut at, 1, BOTH);
        assert_eq!(sightings.alarms(), []);
    }

    #[test]
    fn few_webhooks_another_sender_or_a_header_that_never_came_raise_none() {
        let checks = checks(None);
        let (few, mut at) = (sightings(&checks), START);
        come(&few, &checks, &mut at, 1, BOTH);
        at = at + SILENCE;
        come(&few, &checks, &mut at, DELIVERIES - 1, NEWER);
        assert_eq!(few.alarms(), []);
        come(&few, &checks, &mut at, 1, NEWER);
        assert_eq!(few.alarms().len(), 1);

        let (other, mut at) = (sightings(&checks), START);
        come(&other, &checks, &mut at, 1, BOTH);
        come(&other, &checks, &mut at, 100, OTHER);
        assert_eq!(other.alarms(), [], "nothing of the first credential came at all");

        let (never, mut at) = (sightings(&checks), START);
        come(&never, &checks, &mut at, 100, NEWER);
        assert_eq!(never.alarms(), []);
    }

    #[test]
    fn a_scheme_near_its_end_may_go_without_an_alarm() {
        let far = checks(Some(START + NEAR + Duration::from_hours(3)));
        let near = checks(Some(START + NEAR));
        for (checks, alarms) in [(far, 1), (near, 0)] {
            let (sightings, mut at) = (sightings(&checks), START);
            come(&sightings, &checks, &mut at, 1, BOTH);
            come(&sightings, &checks, &mut at, 70, NEWER);
            assert_eq!(sightings.alarms().len(), alarms);
        }
    }

    #[test]
    fn a_route_that_refuses_everything_says_why() {
        let checks = checks(None);
        let (sightings, mut at) = (sightings(&checks), START);
        come(&sightings, &checks, &mut at, 100, &[("x-newer", "wrong")]);
        assert_eq!(sightings.alarms(), [], "nothing was ever proven");
        come(&sightings, &checks, &mut at, 1, OTHER);
        come(&sightings, &checks, &mut at, 70, &[("x-newer", "wrong")]);
        let alarms = sightings.alarms();
        assert_eq!((alarms.len(), &alarms[0].header), (1, &None));
        assert!(alarms[0].text.contains("the signature or token is wrong"), "{}", alarms[0].text);
        come(&sightings, &checks, &mut at, 1, OTHER);
        assert_eq!(sightings.alarms(), []);
    }

    #[test]
    fn what_was_seen_before_a_start_or_by_others_counts() {
        let checks = checks(None);
        let (before, mut at) = (sightings(&checks), START);
        come(&before, &checks, &mut at, 1, BOTH);
        let kept = before.merged(&BTreeMap::from([("ghl gone x-gone".to_owned(), START)]));
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["ghl", "ghl a x-newer", "ghl a x-older"]);

        let after = sightings(&checks);
        assert_eq!(after.merged(&kept), kept);
        come(&after, &checks, &mut at, 70, NEWER);
        assert_eq!(after.alarms().len(), 1);
        let other = sightings(&checks);
        come(&other, &checks, &mut at, 1, BOTH);
        after.merged(&other.merged(&BTreeMap::new()));
        assert_eq!(after.alarms(), []);
    }
}
