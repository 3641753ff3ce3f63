//! Placing: which workspace a verified webhook belongs to, and by what a repeated one is recognised. Pure.
//!
//! The credential that proved the webhook names the workspaces it may speak for; path and body only select among them
//! (law 12), and must agree. What cannot be placed is kept as `unrouted`, with the reason.

use std::collections::BTreeMap;

use http::HeaderMap;
use uuid::Uuid;

use super::Directory;
use crate::model::{NewChange, Origin, Standing, System};
use crate::secret::digest;
use crate::systems::Envelope;
use crate::verify::VerifiedWebhook;

/// Headers that are kept. None of them can carry a credential or a signature.
const KEPT_HEADERS: &[&str] = &["content-type", "user-agent", "webhook-id", "webhook-timestamp"];

/// The longest text of a sender that becomes part of a key, in bytes: databases limit what an index holds.
const LONGEST: usize = 200;

/// The change that a webhook makes. `fresh` is its own key where the sender gives nothing to tell repetitions by.
pub fn place(webhook: &VerifiedWebhook, envelope: Envelope, directory: &Directory, fresh: Uuid) -> NewChange {
    let raw = webhook.raw();
    let envelope = sound(envelope);
    let told = |delivery: &&str| !delivery.is_empty() && directory.tells_repetitions();
    let delivery = webhook.delivery().or(envelope.delivery.as_deref()).filter(told);
    let delivery = delivery.map_or_else(|| fresh.to_string(), short);
    let (workspace, standing, reason) = stand(webhook, &envelope, directory);
    NewChange {
        dedup: format!("{}/{delivery}", webhook.credential()),
        workspace,
        system: raw.system,
        extension: webhook.is_extension(),
        origin: Origin::Webhook,
        label: envelope.label,
        kind: envelope.kind,
        object: envelope.object,
        standing,
        reason,
        at: envelope.at,
        received: raw.received,
        headers: kept(&raw.headers),
        body: raw.body.clone(),
    }
}

/// The workspace, if it is clear, and what the change then is.
fn stand(
    webhook: &VerifiedWebhook,
    envelope: &Envelope,
    directory: &Directory,
) -> (Option<String>, Standing, Option<String>) {
    let unrouted = |reason: &str| (None, Standing::Unrouted, Some(reason.to_owned()));
    match route(webhook, envelope, directory) {
        Ok(name) => (Some(name.to_owned()), envelope.standing, envelope.reason.clone()),
        // What could not be read names no account either; where it belongs is then the smaller question.
        Err(_) if envelope.standing == Standing::Unparsed => (None, envelope.standing, envelope.reason.clone()),
        // A webhook about the app itself (an install) names no account, or one that no workspace has yet.
        Err(_) if envelope.standing == Standing::NotMirrored && !is_known(webhook, envelope, directory) => {
            if may_speak_for_the_app(webhook, directory) {
                (None, envelope.standing, envelope.reason.clone())
            } else {
                unrouted("its credential may not speak for all workspaces, and so not for the app")
            }
        }
        Err(reason) => unrouted(reason),
    }
}

/// Whether a webhook that names none of our accounts may speak of the app itself. At GHL such a word installs and uninstalls
/// (law 12): a gateway in front of one customer's workspace must not do that to another's.
fn may_speak_for_the_app(webhook: &VerifiedWebhook, directory: &Directory) -> bool {
    let system = webhook.raw().system;
    system != System::Ghl || directory.of_system(system).all(|name| webhook.speaks_for().iter().any(|one| one == name))
}

fn is_known(webhook: &VerifiedWebhook, envelope: &Envelope, directory: &Directory) -> bool {
    let account = envelope.account.as_deref();
    account.is_some_and(|account| directory.workspace(webhook.raw().system, account).is_some())
}

fn route<'a>(
    webhook: &'a VerifiedWebhook,
    envelope: &Envelope,
    directory: &'a Directory,
) -> Result<&'a str, &'static str> {
    let raw = webhook.raw();
    let by_path = raw.workspace.as_deref();
    if by_path.is_some_and(|name| !directory.knows(name)) {
        return Err("the path names no workspace");
    }
    let name = match (&envelope.account, by_path) {
        (Some(account), by_path) => {
            let name = directory.workspace(raw.system, account).ok_or("the account belongs to no workspace")?;
            if by_path.is_some_and(|path| path != name) {
                return Err("path and body name different workspaces");
            }
            name
        }
        // TIMIFY may name no company, an extension never names an account, and neither does a push of TimeRex, which is told
        // to an address with the workspace in it; all else names one.
        (None, _) if raw.system == System::Ghl && !webhook.is_extension() => return Err("it names no account"),
        (None, Some(path)) => path,
        (None, None) if raw.system == System::Timerex && !webhook.is_extension() => return Err("it names no account"),
        (None, None) => match webhook.speaks_for() {
            [only] => only,
            _ => return Err("it names no account; add the workspace to the path"),
        },
    };
    if webhook.speaks_for().iter().any(|allowed| allowed == name) {
        Ok(name)
    } else {
        Err("its credential may not speak for this workspace")
    }
}

/// Makes a sender's texts fit for keeping: PostgreSQL knows no NUL in text, and no index holds a long one.
fn sound(mut envelope: Envelope) -> Envelope {
    envelope.label = printable(&envelope.label);
    envelope.reason = envelope.reason.as_deref().map(printable);
    if envelope.object.as_ref().is_some_and(|id| id.as_str().is_empty() || !fits(id.as_str())) {
        envelope.object = None;
        envelope.standing = Standing::Unparsed;
        envelope.reason = Some("the object's id is empty, too long or not printable".to_owned());
    }
    envelope
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn fits(text: &str) -> bool {
    text.len() <= LONGEST && !text.chars().any(char::is_control)
}

/// A delivery id as it is, or the digest of one that is too long to keep.
fn short(delivery: &str) -> String {
    if fits(delivery) { delivery.to_owned() } else { format!("sha256:{}", hex::encode(digest(delivery.as_bytes()))) }
}

fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |name: &&str| Some(((*name).to_owned(), headers.get(*name)?.to_str().ok()?.to_owned()));
    KEPT_HEADERS.iter().filter_map(text).collect()
}
