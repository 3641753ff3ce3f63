//! Renewing the tokens of an install: by one task of one replica at a time, and stored before anybody uses them.
//!
//! In: an install, and the generation of its tokens that is no longer good enough. Out: newer tokens, or why there are none.
//! Within a process a lock makes all who want them wait for one renewal; between processes a claim on the row does, which
//! the losers look at until it is over. A spent refresh token is not the end: another replica may have been faster, and the
//! vendor may have other ways to a new pair.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::client::{Granted, Refusal};
use super::held::{Held, Known};
use super::pair::Pair;
use super::{Keeper, OauthError, not_connected, unauthorized};
use crate::model::{Install, InstallKey, InstallState, System};
use crate::systems::SystemError;

/// Tokens are renewed when they are wanted and have less than this left.
const MARGIN: Duration = Duration::from_mins(1);

/// How long a claim lasts that is not renewed: others wait for one who died for so long. A renewal may take longer (up to
/// four calls), so its claim is renewed meanwhile. Where that fails, a second renewal does no harm: the row decides, and a
/// spent token is recovered.
const CLAIM: Duration = Duration::from_secs(15);

/// How often those who wait for another replica look.
const LOOK: Duration = Duration::from_millis(100);

/// How long an inactive location is not asked about, and an awaited token not asked for.
pub(super) const PATIENCE: Duration = Duration::from_mins(15);

/// How long before their end tokens are renewed: so long as is wanted, but no more than half their life, or else
/// short-lived ones would be renewed for each call.
pub(super) fn lead(row: &Install, wanted: Duration) -> Duration {
    row.expires.map_or(wanted, |end| wanted.min(end.since(row.changed) / 2))
}

/// A future that renews; boxed, for some tokens may need others renewed first.
type Renewing = Pin<Box<dyn Future<Output = Result<Known, OauthError>> + Send>>;

impl Keeper {
    /// Tokens of an install that are good for a while yet. Renews them if they are about to end.
    pub(super) async fn fresh(self: &Arc<Self>, key: &InstallKey) -> Result<Known, OauthError> {
        let held =
            self.peek(key).and_then(|held| held.known()).filter(|known| known.row.state == InstallState::Connected);
        let known = match held {
            Some(known) => known,
            None => self.read(key).await?.ok_or_else(|| OauthError::Unknown(key.clone()))?,
        };
        let margin = lead(&known.row, MARGIN);
        let left = known.row.expires.map_or(Duration::ZERO, |end| end.since(self.clock.now()));
        let ends_late = !left.is_zero() && left >= margin;
        match known.row.state {
            InstallState::Connected if ends_late => known.usable(),
            InstallState::Connected | InstallState::Inactive => self.renew(key, known.row.generation).await,
            InstallState::Awaiting | InstallState::Lost | InstallState::Removed => known.usable(),
        }
    }

    /// Tokens of an install that are newer than generation `from`.
    pub(super) fn renew(self: &Arc<Self>, key: &InstallKey, from: i64) -> Renewing {
        let (keeper, key, system) = (self.clone(), key.clone(), self.system());
        Box::pin(async move {
            // A task of its own: one who stops waiting must not stop it between the vendor's answer and the store.
            let renewing = keeper.renewals.clone();
            let renewing = renewing.spawn(async move { keeper.renewed(&key, from).await });
            renewing.await.unwrap_or_else(|_| Err(later(system, "the renewal was stopped").into()))
        })
    }

    async fn renewed(self: &Arc<Self>, key: &InstallKey, from: i64) -> Result<Known, OauthError> {
        let held = self.held(key);
        let _turn = held.turn.lock().await;
        if let Some(known) = held.known().filter(|known| known.row.generation > from)
            && let Ok(known) = known.usable()
        {
            return Ok(known);
        }
        loop {
            let known = self.read(key).await?.ok_or_else(|| OauthError::Unknown(key.clone()))?;
            if known.row.generation > from || !self.may_ask(&known.row) {
                return known.usable();
            }
            let now = self.clock.now();
            if self.store.claim_install(key, known.row.generation, &self.owner, now, now + CLAIM).await? {
                if let Some(renewed) = self.holding_on(&known.row, self.renew_claimed(&held, &known)).await? {
                    return Ok(renewed);
                }
            } else {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Waits for a renewal, and renews its claim meanwhile.
    async fn holding_on<T>(&self, row: &Install, renewing: impl Future<Output = T>) -> T {
        let mut renewing = std::pin::pin!(renewing);
        loop {
            tokio::select! {
                renewed = &mut renewing => return renewed,
                () = tokio::time::sleep(CLAIM / 3) => {}
            }
            let now = self.clock.now();
            if let Err(error) = self.store.claim_install(&row.key, row.generation, &self.owner, now, now + CLAIM).await
            {
                tracing::warn!(install = %row.key, error = %error, "the claim on an install could not be renewed");
            }
        }
    }

    /// Whether the vendor may be asked for new tokens of an install.
    pub(super) fn may_ask(&self, row: &Install) -> bool {
        match row.state {
            InstallState::Connected => true,
            InstallState::Inactive => self.clock.now().since(row.changed) >= PATIENCE,
            InstallState::Awaiting | InstallState::Lost | InstallState::Removed => false,
        }
    }

    /// Asks for new tokens; the claim is ours. `None`: the row moved meanwhile.
    async fn renew_claimed(self: &Arc<Self>, held: &Held, known: &Known) -> Result<Option<Known>, OauthError> {
        if let Some(row) = held.unsaved() {
            return self.persist(held, known, row).await;
        }
        let mut asked = self.refresh(known).await;
        if matches!(asked, Err(Refusal::Spent)) {
            let there = self.store.install(&known.row.key).await?;
            if there.is_some_and(|there| there.generation != known.row.generation) {
                return Ok(None);
            }
            asked = self.vendor.recover(self, &known.row).await;
        }
        match asked {
            Ok(granted) if granted.key.as_ref().is_some_and(|key| *key != known.row.key) => {
                Err(OauthError::Foreign(granted.key.unwrap_or_else(|| known.row.key.clone())))
            }
            Ok(granted) => {
                let row = self.row_of(&known.row.key, &granted, Some(&known.row))?;
                self.persist(held, known, row).await
            }
            Err(refusal) => self.not_renewed(&known.row, refusal).await.map(|()| None),
        }
    }

    async fn refresh(&self, known: &Known) -> Result<Granted, Refusal> {
        let refresh = known.pair.as_ref().and_then(|pair| pair.refresh.as_ref()).ok_or(Refusal::Spent)?;
        self.vendor.refresh(refresh, known.row.key.holder).await
    }

    /// Stores new tokens in place of `from`, whose refresh token is spent. `None`: there is a newer pair, or none is wanted.
    async fn persist(&self, held: &Held, from: &Known, mut row: Install) -> Result<Option<Known>, OauthError> {
        held.set_unsaved(Some(row.clone()));
        loop {
            if self.store.put_install(&row, row.generation - 1).await? {
                held.set_unsaved(None);
                if from.row.state != InstallState::Connected {
                    tracing::info!(install = %row.key, "an install works again");
                }
                return self.learn(row).map(Some);
            }
            let there = self.store.install(&row.key).await?;
            let same = |there: &Install| Pair::open(there, &self.sealer).is_ok_and(|pair| pair == from.pair);
            // Still the pair that ours came from? Then it was only counted up.
            let Some(there) = there.filter(|there| there.sealed.is_some() && same(there)) else {
                held.set_unsaved(None);
                return Ok(None);
            };
            row.generation = there.generation + 1;
        }
    }

    /// Writes down why an install has no new tokens. `Ok`: the row moved meanwhile.
    async fn not_renewed(&self, row: &Install, refusal: Refusal) -> Result<(), OauthError> {
        let (state, reason, error) = match refusal {
            Refusal::Later(error) => (row.state, row.reason.clone(), error.into()),
            Refusal::Inactive => standing(row, InstallState::Inactive),
            Refusal::Spent => standing(row, InstallState::Lost),
            Refusal::Client => {
                let error = OauthError::Client(self.system());
                (row.state, Some(error.to_string()), error)
            }
            Refusal::No { status, said } => {
                let reason = format!("the vendor does not renew its tokens (HTTP {status}): {said}");
                let error = SystemError::Unauthorized { system: self.system(), status, reason: reason.clone() };
                (row.state, Some(reason), error.into())
            }
        };
        // What still stands has stood since its tokens came: a late word of an uninstalling is measured by that.
        let changed = if state == InstallState::Connected { row.changed } else { self.clock.now() };
        let said = reason.as_deref();
        if !self.store.set_install_state(&row.key, row.generation, state, said, changed).await? {
            return Ok(());
        }
        if (state, &reason) != (row.state, &row.reason) {
            let reason = said.unwrap_or_default();
            tracing::error!(install = %row.key, state = %state, reason, "the tokens of an install are not renewed");
        }
        let now_known = Install { state, reason, changed, ..row.clone() };
        self.learn(now_known)?;
        Err(error)
    }
}

/// A state that is worth its own words.
fn standing(row: &Install, state: InstallState) -> (InstallState, Option<String>, OauthError) {
    let row = Install { state, ..row.clone() };
    let error = Known { row, pair: None }.refusal();
    let SystemError::NotConnected { reason, .. } = &error else { return (state, None, error.into()) };
    (state, Some(reason.clone()), error.into())
}

/// It may work later.
pub(super) fn later(system: System, reason: &str) -> SystemError {
    SystemError::Unavailable { system, status: None, reason: reason.to_owned() }
}

/// What a call makes of it.
pub(super) fn for_call(system: System, error: OauthError) -> SystemError {
    match error {
        OauthError::Vendor(error) => error,
        OauthError::Store(error) => later(system, &error.to_string()),
        unknown @ OauthError::Unknown(_) => not_connected(system, unknown.to_string()),
        other => unauthorized(system, other.to_string()),
    }
}
