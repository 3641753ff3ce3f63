//! The right to call: who makes calls asks for each of them first, and tells afterwards what the vendor said of its limits.
//!
//! In: the wish to make one call; the headers of its answer. Out: a [`Leave`], or how long there will be none. Counting is left
//! to the one who gives leave.

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// It begins something, and can as well be made later.
    Begins,
    /// It goes on with what earlier calls began (the next page), which would be lost if it were put off.
    GoesOn,
    /// It changes something, mostly after a read that would be lost. Some vendors count such calls apart.
    Writes,
}

/// Gives leave to call one system for one workspace.
#[async_trait]
pub trait Allowance: Send + Sync {
    /// Waits until one call may be made; if that is not soon, gives at once how long there will be no leave. What goes on with
    /// something, and what writes, waits longer and goes first.
    async fn pass(&self, errand: Errand) -> Result<Box<dyn Leave>, Duration>;
}

/// Leave to make one call. It is dropped when the call has ended, with or without an answer.
pub trait Leave: Send + Sync {
    /// Takes in what the answer said.
    fn learn(&self, seen: &RateSeen);
}

/// What one answer says of the vendor's limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateSeen {
    /// The call was one too many (429).
    pub refused: bool,
    /// How long the vendor asks us to wait.
    pub retry_after: Option<Duration>,
    /// The length of its short window.
    pub interval: Option<Duration>,
    /// Calls that a short window holds.
    pub burst: Option<u32>,
    /// Of these, how many are left.
    pub burst_left: Option<u32>,
    /// Calls that a day holds.
    pub day: Option<u32>,
    /// Of these, how many are left.
    pub day_left: Option<u32>,
}

impl RateSeen {
    /// Reads the rate headers of GHL. `retry_after`: what `Retry-After` says, which may be a date of the vendor's clock.
    pub fn read(status: StatusCode, headers: &HeaderMap, retry_after: Option<Duration>) -> Self {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        Self {
            refused: status == StatusCode::TOO_MANY_REQUESTS,
            retry_after,
            interval: number("x-ratelimit-interval-milliseconds").map(|ms| Duration::from_millis(ms.into())),
            burst: number("x-ratelimit-max"),
            burst_left: number("x-ratelimit-remaining"),
            day: number("x-ratelimit-limit-daily"),
            day_left: number("x-ratelimit-daily-remaining"),
        }
    }
}

/// No limit: for extensions, which are the operator's own, and for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

#[async_trait]
impl Allowance for Unlimited {
    async fn pass(&self, _errand: Errand) -> Result<Box<dyn Leave>, Duration> {
        Ok(Box::new(Self))
    }
}

impl Leave for Unlimited {
    fn learn(&self, _seen: &RateSeen) {}
}
