//! What stands within an object that was read: the notes in a TIMIFY customer, the occurrences of a series.
//!
//! In: a reading. Out: a row of the change log for each object within it that differs from what is known, and for each known
//! one that is no longer there. They are claims, made in another object's lane: each is read in its own. What is as it was
//! makes no row. The children of a contact that is gone are left to the reading of that contact.

use super::lane::Lane;
use crate::model::{Class, Kind, Link, Observation, Origin, Shape};
use crate::resolve::claim;
use crate::store::Result;
use crate::systems::Reading;

impl Lane<'_> {
    /// Tells what a reading shows within its object. Before the reading is settled: a crash in between repeats it.
    pub(super) async fn tell_within(&self, outer: &Link, reading: &Reading) -> Result<()> {
        let is_gone = reading.observation.shape == Shape::Gone;
        let with_all = is_gone && outer.kind != Kind::Contact;
        let Some(shown) = reading.within.as_deref().or(with_all.then_some(&[])) else { return Ok(()) };
        let workspace = &self.site.workspace.name;
        let known = self.lanes.lookup.within(workspace, self.system, &outer.id).await?;
        let link_of = |seen: &Observation| known.iter().find(|link| link.kind == seen.kind && link.id == seen.id);
        let is_news = |seen: &Observation| claim::difference(self.target, link_of(seen), seen).is_some();
        let news = shown.iter().filter(|seen| seen.shape != Shape::Gone && is_news(seen));
        let missing =
            |link: &&Link| link.is_live() && !shown.iter().any(|seen| seen.id == link.id && seen.kind == link.kind);
        let gone = known.iter().filter(missing);
        let gone = gone.map(|link| Observation::new(link.kind, link.id.clone(), Class::Claim, Shape::Gone));
        let told: Vec<Observation> = news.cloned().chain(gone).collect();
        let now = self.lanes.clock.now();
        let row =
            |seen: &Observation| claim::row(Origin::Look, workspace, self.system, seen, self.lanes.ids.uuid(now), now);
        let rows: Vec<_> = told.iter().map(row).collect();
        if !rows.is_empty() {
            self.lanes.log.append(&rows).await?;
        }
        Ok(())
    }
}
