//! What was written more than once (invariants 3 and 8): no value comes back to where another one took its place.
//!
//! In: what our writes did, what people typed over what, and the losers that are kept. Out: what came back without a reason.

use super::people::Typed;
use super::stage::Stage;
use super::story::stand_in;
use super::winners::edits;
use super::world::lock;
use crate::model::{Conflict, FieldRule, Value};

/// Values that were written to an object more often than is explained by a kept loser, an own write of which nobody heard and
/// that put it there or took it away, somebody who typed it in again, or one of [`put_below`] and [`out_of_order`].
pub fn judge(stage: &Stage, kept: &[Conflict]) -> Vec<String> {
    let world = lock(&stage.world);
    let mut broken = Vec::new();
    for (id, token, count) in world.written.repeated() {
        // Or took away what somebody had put in its place.
        let undone = |edit: u32| edit == token || stage.hands.saw(edit, token);
        let unheard = world.written.unheard().filter(|(object, edit, _)| *object == id && undone(*edit));
        let unheard: usize = unheard.map(|(_, _, count)| count).sum();
        let losers = kept.iter().filter(|one| is_about(one, token)).count();
        let set = stage.hands.set.get(&token).copied().unwrap_or_default();
        // Who does what a write of ours does of which nobody knows whether it landed seems to be that write (R5); and who takes the
        // same away twice may lose twice, and is kept once if nothing dates the two apart.
        let seems = world.written.unsure(id) || losers > 0;
        let taken = if seems { stage.hands.taken(id, token) } else { 0 };
        let explained = losers + unheard + taken + put_below(stage, id, token) + out_of_order(stage, token);
        if count > set.max(1) + explained {
            broken.push(format!("3: the value of edit {token} was written {count} times to {id}"));
        }
    }
    broken
}

/// Whether what lost or won is the value of an edit, or is said of the tag that it gave.
fn is_about(conflict: &Conflict, token: u32) -> bool {
    let tag = conflict.field.as_tag().map(Value::text);
    let values = [Some(&conflict.lost), Some(&conflict.won), tag.as_ref()];
    values.into_iter().flatten().any(|value| edits(value).contains(&token))
}

/// How often somebody put another text in its place where a rule appends: it comes back below that, if at the same time somebody
/// else added to it.
fn put_below(stage: &Stage, id: &str, token: u32) -> usize {
    let Some(typed) = stage.typed.iter().find(|typed| typed.token == token) else { return 0 };
    let workspace = &stage.config.workspaces[typed.workspace];
    if workspace.policy.rules.of(typed.kind, &typed.field) != FieldRule::Append {
        return 0;
    }
    let over = |one: &&Typed| one.id == id && one.field == typed.field && stage.hands.saw(one.token, token);
    stage.typed.iter().filter(over).count()
}

/// How often the vendor's clock was set while somebody set it: the older of two edits may bear the later date.
fn out_of_order(stage: &Stage, token: u32) -> usize {
    let typed = stage.typed.iter().filter(|typed| typed.token == token);
    typed.map(|typed| stage.hands.clocks_set(stand_in(typed.system, typed.kind), typed.at)).sum()
}
