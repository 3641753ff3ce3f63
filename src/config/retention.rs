//! `[retention]`: how long history is kept.

use std::time::Duration;

use super::section::Section;

/// What a vendor may still send again, and a person may still ask about, is not forgotten.
const SHORTEST: Duration = Duration::from_hours(24);

/// `[retention]`. Zero: for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Raw bodies and headers of webhooks.
    pub bodies: Duration,
    /// Changes, decisions, calls, closed conflicts and reviews.
    pub history: Duration,
}

impl Retention {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let kept = |key: &str, days: u32| {
            let time = section.or(key, Duration::from_hours(24) * days);
            if !time.is_zero() && time < SHORTEST {
                section.mistake(key, "must be at least \"1d\", or \"0s\" to keep it for ever");
            }
            time
        };
        let (bodies, history) = (kept("bodies", 30), kept("history", 400));
        if !history.is_zero() && (bodies.is_zero() || bodies > history) {
            section.mistake("bodies", "are kept no longer than `history`, with which they go");
        }
        Self { bodies, history }
    }
}
