//! How many calls an edit costs: writes, reads, and reads while the workspace was reconciled, by `read_before_write`.

use super::people::owns;
use super::stage::Stage;
use super::world::lock;
use crate::model::Mode;
use crate::sandbox::RequestRow;

/// Counts them for each workspace that is live.
pub fn count(stage: &Stage) {
    let mut world = lock(&stage.world);
    for (at, (entry, accounts)) in stage.config.workspaces.iter().zip(&stage.settings.workspaces).enumerate() {
        if entry.mode == Some(Mode::Shadow) {
            continue;
        }
        let ours = |row: &&RequestRow| owns(accounts, row.account.as_deref());
        let rows: Vec<_> = world.sandbox.requests(0).into_iter().filter(ours).collect();
        let writes = rows.iter().filter(|row| row.write).count();
        let reconciling = |row: &&&RequestRow| !row.write && world.reconciling.contains(&row.number);
        let reconciling = rows.iter().filter(reconciling).count();
        let reads = rows.len() - writes - reconciling;
        let deeds = stage.deeds.get(&at).copied().unwrap_or_default();
        let word = entry.policy.read_before_write;
        for (what, count) in [("deeds", deeds), ("writes", writes), ("reads", reads), ("reconciling", reconciling)] {
            *world.counts.entry(format!("calls/{word}/{what}")).or_default() += count as u64;
        }
    }
}
