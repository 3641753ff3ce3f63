//! Whether an extension endpoint answers, and takes our signature; for a person who sets it up. One signed read.

use super::ExtensionClient;
use crate::systems::{Inspected, SystemError, wire};

impl ExtensionClient {
    /// `contacts`: whether the endpoint has the contacts, and not only what belongs to a vendor's.
    pub(super) async fn inspected(&self, contacts: bool) -> Inspected {
        match self.get(&wire::query("/contacts", &[("limit", "1")])).await {
            Ok((_, json)) if json["items"].is_array() => {
                Inspected::fine("the extension answers, and takes our signature")
            }
            Ok(_) => Inspected::problem("the extension answers `GET /contacts` without `items`"),
            Err(SystemError::Unauthorized { status, .. }) => Inspected::problem(format!(
                "the extension refuses our signature (HTTP {status}): it checks with another secret than the first of \
                 `secrets`, or its clock is more than five minutes off"
            )),
            // An endpoint beside a vendor that has the contacts may serve no more than what belongs to them.
            Err(SystemError::Gone { .. }) if !contacts => Inspected::fine(
                "the extension answers, and lists no contacts; so it is not told whether it takes our signature",
            ),
            Err(SystemError::Gone { status, .. }) => {
                Inspected::problem(format!("the extension has no `GET /contacts` (HTTP {status}): check its `url`"))
            }
            Err(error) => Inspected::problem(format!("the extension: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::ids::Ids;
    use crate::model::System;
    use crate::systems::testing::{Told, caller, told};

    #[rstest]
    #[case::fine(told(200, json!({ "items": [] })), true, true, "takes our signature")]
    #[case::another_secret(told(401, json!({})), true, false, "refuses our signature (HTTP 401)")]
    #[case::tags_only(told(404, json!({})), false, true, "lists no contacts")]
    #[case::no_contacts(told(404, json!({})), true, false, "has no `GET /contacts`")]
    #[case::no_items(told(200, json!([])), true, false, "without `items`")]
    #[tokio::test]
    async fn an_endpoint_is_asked_whether_it_takes_our_signature(
        #[case] answer: Told,
        #[case] contacts: bool,
        #[case] ok: bool,
        #[case] said: &str,
    ) {
        let (caller, script) = caller(System::Timerex, [answer]);
        let found = ExtensionClient::new(caller, None, Arc::new(Ids::seeded(1))).inspected(contacts).await;
        assert!(found.ok == ok && found.line.contains(said), "{found:?}");
        assert_eq!(script.asked()[0].0, "GET /contacts?limit=1");
    }
}
