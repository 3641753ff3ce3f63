//! Vendors that fail: now one, now another, for a few requests at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::STAND_INS;
use crate::support::stage::Stage;

const KINDS: [&str; 5] = ["down", "rate_limited", "error_500", "cut_before_apply", "cut_after_apply"];

/// Sets faults until told to stop; gives how often each was set.
pub async fn now_and_then(stage: Arc<Stage>, seed: u64, stop: CancellationToken) -> BTreeMap<&'static str, usize> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut set = BTreeMap::new();
    while !stop.is_cancelled() {
        let (system, extension) = STAND_INS[rng.usize(..STAND_INS.len())];
        let kind = KINDS[rng.usize(..KINDS.len())];
        let count = rng.u32(1..=3);
        stage.post("faults", json!({ "system": system, "extension": extension, "kind": kind, "count": count })).await;
        *set.entry(kind).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(rng.u64(100..1_000))).await;
    }
    // Each refusal keeps its system waiting for seconds: what was set and not met yet would take minutes.
    stage.heal().await;
    set
}
