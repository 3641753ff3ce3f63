//! What becomes of secrets in vendors' JSON: dropped, sealed or kept in the store, and what an operator is shown of them.
//!
//! In: the policy and the keys. Out: the [`Veil`] under which webhooks are stored, and bodies and answers fit for showing.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::sites;
use crate::config::SecretLinks;
use crate::credentials::seal::{SealError, Sealer};
use crate::model::System;
use crate::secret::Secret;
use crate::systems::secrets::{DROPPED, Veil, veiled};

/// How the text begins that stands in the place of a sealed secret, as JSON.
const SEALED: &str = "\"sealed:";

/// The veil under which webhooks are stored.
pub(super) fn stored(policy: SecretLinks, sealer: Option<Arc<Sealer>>) -> Arc<Veil> {
    match (policy, sealer) {
        (SecretLinks::Keep, _) => Arc::new(|_, _| None),
        (SecretLinks::Seal, Some(sealer)) => Arc::new(move |key, held| Some(sealed(&sealer, key, held))),
        // Without a key nothing could be opened again; the configuration demands one.
        (SecretLinks::Drop | SecretLinks::Seal, _) => Arc::new(|_, _| Some(DROPPED.to_owned())),
    }
}

/// What it is sealed under: a sealed credential, or the value of another key, does not open as this.
fn name(key: &str) -> String {
    format!("webhook {key}")
}

fn sealed(sealer: &Sealer, key: &str, held: &str) -> String {
    match sealer.seal(&name(key), &Secret::new(held)) {
        Ok(bytes) => format!("{SEALED}{}\"", URL_SAFE_NO_PAD.encode(bytes)),
        Err(error) => {
            tracing::error!(key, %error, "a secret of a webhook cannot be sealed, and is dropped");
            DROPPED.to_owned()
        }
    }
}

/// The JSON that was sealed; `None`: nothing was.
fn opened(sealer: &Sealer, key: &str, held: &str) -> Option<Result<String, SealError>> {
    let text = held.strip_prefix(SEALED)?.strip_suffix('"')?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Broken);
    let secret = bytes.and_then(|bytes| sealer.open(&name(key), &bytes));
    Some(secret.map(|secret| secret.expose().to_owned()))
}

/// A stored body without its secrets; sealed ones stay as they are.
pub fn without_secrets(system: System, body: &[u8]) -> Option<Vec<u8>> {
    under(system, body, |_, held| (!held.starts_with(SEALED)).then(|| DROPPED.to_owned()))
}

/// A stored body with its secrets opened. `failed` is told of each that does not open, which stays as it is.
pub fn with_secrets(system: System, body: &[u8], sealer: &Sealer, failed: impl Fn(&str, SealError)) -> Option<Vec<u8>> {
    under(system, body, |key, held| opened(sealer, key, held)?.map_err(|error| failed(key, error)).ok())
}

/// An answer of a system without its secrets.
pub(super) fn answer_without_secrets(system: System, answer: Value) -> Value {
    let body = under(system, answer.to_string().as_bytes(), |_, _| Some(DROPPED.to_owned()));
    body.map_or(answer, |body| serde_json::from_slice(&body).unwrap_or_default())
}

fn under(system: System, body: &[u8], veil: impl Fn(&str, &str) -> Option<String>) -> Option<Vec<u8>> {
    veiled(body, sites::doors()[&system].secrets(), veil)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::credentials::seal::new_key;

    const BODY: &[u8] =
        br#"{"event":{"id":"b1","guest_cancel_url":"https://x.test/c/1","zoom_meeting":{"password":8472058316}}}"#;

    fn sealer() -> Arc<Sealer> {
        Arc::new(Sealer::new(&[Secret::new(new_key().unwrap())]).unwrap())
    }

    fn store(policy: SecretLinks, sealer: Option<Arc<Sealer>>) -> Option<Vec<u8>> {
        let veil = stored(policy, sealer);
        under(System::Timerex, BODY, |key, held| veil(key, held))
    }

    #[test]
    fn what_is_sealed_opens_as_it_was_and_only_under_its_key() {
        let sealer = sealer();
        let body = store(SecretLinks::Seal, Some(sealer.clone())).unwrap();
        let text = String::from_utf8(body.clone()).unwrap();
        assert!(
            !text.contains("x.test") && !text.contains("8472058316") && text.matches("sealed:").count() == 2,
            "{text}"
        );
        let open = |body: &[u8], sealer: &Sealer| with_secrets(System::Timerex, body, sealer, |_, _| {});
        assert_eq!(open(&body, &sealer).as_deref(), Some(BODY));
        let swapped = text.replace("guest_cancel_url", "host_cancel_url");
        assert!(!String::from_utf8(open(swapped.as_bytes(), &sealer).unwrap()).unwrap().contains("x.test"));
        assert_eq!(open(&body, &self::sealer()), None, "another key opens nothing");
        assert_eq!(without_secrets(System::Timerex, &body), None, "what is sealed may be shown");
    }

    #[test]
    fn what_is_dropped_is_gone_and_what_is_kept_is_not_shown_by_itself() {
        let dropped = r#"{"event":{"id":"b1","guest_cancel_url":"[dropped]","zoom_meeting":{"password":"[dropped]"}}}"#;
        assert_eq!(store(SecretLinks::Drop, Some(sealer())).as_deref(), Some(dropped.as_bytes()));
        assert_eq!(store(SecretLinks::Keep, None), None);
        assert_eq!(without_secrets(System::Timerex, BODY).as_deref(), Some(dropped.as_bytes()));
        assert_eq!(with_secrets(System::Timerex, BODY, &sealer(), |_, _| {}), None);
    }

    #[test]
    fn an_answer_is_shown_without_its_secrets() {
        let answer = json!({ "id": "a1", "reschedulingSecret": "s", "customers": [{ "secret": "t", "n": 1.5 }] });
        let shown = json!({ "id": "a1", "reschedulingSecret": "[dropped]", "customers": [{ "secret": "[dropped]", "n": 1.5 }] });
        assert_eq!(answer_without_secrets(System::Timify, answer), shown);
        assert_eq!(answer_without_secrets(System::Timify, json!({ "id": "a2" })), json!({ "id": "a2" }));
    }
}
