//! The right to call: who makes calls asks for each of them first, and tells afterwards what the vendor said of its limits.
//!
//! In: the wish to make one call; the headers of its answer. Out: a [`Leave`], or how long there will be none. Counting is left
//! to the one who gives leave.

use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};

use crate::model::Priority;

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errand {
    /// It begins something, and can as well be made later. Other calls go on with what earlier ones began (the next page, a
    /// write after its read), which would be lost if they were put off.
    pub begins: bool,
    /// It changes something. Some vendors count such calls apart.
    pub writes: bool,
    /// How it ranks.
    pub priority: Priority,
}

impl Errand {
    /// For how many others it makes room: for what goes on with something, unless it writes itself, and for all that rank above.
    pub fn yields_to(self) -> u32 {
        if self.begins { u32::from(!self.writes) + self.priority as u32 } else { 0 }
    }
}

/// Gives leave to call one system for one workspace.
#[async_trait]
pub trait Allowance: Send + Sync {
    /// Waits until one call may be made; if that is not soon, gives at once how long there will be no leave. What yields to
    /// nobody waits longer.
    async fn pass(&self, errand: Errand) -> Result<Box<dyn Leave>, Denied>;
}

/// Why there is no leave, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The calls that may be made are spent.
    Spent(Duration),
    /// The system fails whatever it is asked: now and then one call tries again.
    Failing(Duration),
}

/// Leave to make one call. It is dropped when the call has ended, with or without an answer.
pub trait Leave: Send + Sync {
    /// Takes in what the answer said.
    fn learn(&self, seen: &RateSeen);
    /// Takes in whether the system answered as one that works and lets us in, whatever it thought of the request.
    fn ended(&self, well: bool);
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
    async fn pass(&self, _errand: Errand) -> Result<Box<dyn Leave>, Denied> {
        Ok(Box::new(Self))
    }
}

impl Leave for Unlimited {
    fn learn(&self, _seen: &RateSeen) {}
    fn ended(&self, _well: bool) {}
}
