//! Whose word counts where (law 12): the credential that proved a webhook names the workspaces it may speak for.

use http::StatusCode;
use lockstep::config::Config;
use lockstep::model::{Standing, System};
use lockstep::sandbox::StandIn;
use lockstep::secret::Secret;
use serde_json::json;

use super::{contact, email, from_ghl, told};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

/// The token that TIMIFY sends for the second workspace only.
const SECOND: &str = "the-token-of-the-second-workspace";

/// Gives the second workspace a TIMIFY connection, and so a token, of its own.
fn apart(config: &mut Config) {
    let mut second = config.connections["timify"].clone();
    second.webhook_tokens = vec![Secret::new(SECOND)];
    config.connections.insert("timify-ws2".to_owned(), second);
    config.workspaces[1].accounts.get_mut(&System::Timify).unwrap().connection = String::from("timify-ws2");
}

/// A webhook, ready to be sent: path, headers, body.
type Sent = (&'static str, Vec<(String, String)>, String);

/// What the second workspace's credentials say of the first one's objects: path, headers, body.
fn trespasses(world: &World, contact: &str) -> [Sent; 11] {
    let (main, other) = (world.account(0), world.account(1));
    let timify = json!({ "event": "customer_deleted", "companyId": main.timify_company, "data": { "id": contact } });
    let nameless = json!({ "event": "customer_deleted", "data": { "id": contact } });
    let timerex = json!({
        "webhook_type": "event_confirmed", "team_url_path": main.timerex_team,
        "event": { "id": "b1", "created_at": "2026-03-29T13:52:04.000Z" }
    });
    let extension =
        json!({ "type": "contact.deleted", "timestamp": "2026-03-29T13:52:04Z", "data": { "id": contact } });
    let token = vec![(world.settings.timify_header.0.clone(), SECOND.to_owned())];
    let as_team = world.signed(StandIn::vendor(System::Timerex), &other.timerex_team, "", "");
    let signed = |system: System, account: &str, id: &str| {
        world.signed(StandIn::extension(system), account, id, &extension.to_string())
    };
    let ghl = told(world, 0, "by path", contact, &json!({ "type": "ContactDelete" }));
    let location = ghl.replace(&main.ghl_location, "AnotherLocation00000");
    let by_ghl = |body: &str| world.signed(StandIn::vendor(System::Ghl), "", "", body);
    [
        ("/webhooks/timify", token.clone(), timify.to_string()),
        ("/webhooks/timify/main", token.clone(), timify.to_string()),
        ("/webhooks/timify/ws2", token.clone(), timify.to_string()),
        ("/webhooks/timify/main", token, nameless.to_string()),
        ("/webhooks/timerex", as_team.clone(), timerex.to_string()),
        ("/webhooks/timerex/main", as_team.clone(), timerex.to_string()),
        ("/webhooks/timerex/ws2", as_team, timerex.to_string()),
        ("/webhooks/timify/main", signed(System::Timify, &other.timify_company, "m1"), extension.to_string()),
        ("/webhooks/timerex/main", signed(System::Timerex, &other.timerex_team, "m2"), extension.to_string()),
        ("/webhooks/ghl/ws2", by_ghl(&ghl), ghl.clone()),
        ("/webhooks/ghl", by_ghl(&location), location),
    ]
}

async fn the_credentials_of_one_workspace_change_nothing_in_another(place: &mut Place) {
    let mut plan = Plan::of(2);
    plan.adjust = apart;
    let world = plan.start(place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Wim") })).await;
    world.settle().await;
    let [_, timify, extension] = world.everywhere(0, &email("Wim")).await;
    let (mark, held) = (world.mark().await, world.state().await);
    let entity = world.app.store.named(&email("Wim")).await.unwrap()[0];
    let story = world.app.store.story(entity).await.unwrap().len();

    let mut rows = std::collections::BTreeSet::new();
    for object in [&id, &timify.id, &extension.id] {
        for (path, headers, body) in trespasses(&world, object) {
            let reply = world.post(path, &headers, body.clone()).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
            let unrouted = world.app.store.by_standing(Standing::Unrouted, 100).await.unwrap();
            let newest = unrouted.first().map(|change| change.id);
            assert!(reply.body["status"] == "duplicate" || rows.insert(newest), "{path} was routed: {body}");
        }
    }
    let foreign =
        told(&world, 0, "app", &id, &json!({})).replace(&world.settings.ghl.app_id, "65a0b1c2d3e4f5a6b7c8d9e1");
    from_ghl(&world, &foreign).await.assert_problem(401, "unauthorized");
    world.settle().await;
    assert!(world.calls(mark).await.is_empty(), "nothing was asked of any system");
    assert_eq!(world.state().await, held);
    assert_eq!(world.app.store.story(entity).await.unwrap().len(), story);
    assert!(world.app.store.outcomes("ws2").await.unwrap().is_empty());
    world.stop().await;
}

async fn a_secret_speaks_for_its_own_workspace_whatever_ids_it_names(place: &mut Place) {
    let world = Plan::of(2).start(place).await;
    world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Xena") })).await;
    world.settle().await;
    let [_, _, extension] = world.everywhere(0, &email("Xena")).await;
    let mark = world.mark().await;
    let body = json!({
        "type": "contact.updated", "timestamp": "2036-03-29T13:52:04Z",
        "data": { "id": extension.id, "email": email("Xena"), "firstName": "Mallory", "lastUpdated": "2036-03-29T13:52:04Z" }
    })
    .to_string();
    let team = world.account(1).timerex_team.clone();
    let headers = world.signed(StandIn::extension(System::Timerex), &team, "msg_1", &body);
    assert_eq!(world.post("/webhooks/timerex", &headers, body).await.status, StatusCode::OK);
    world.settle().await;
    world.assert_everywhere(0, &email("Xena"), "firstName", "Xena").await;
    let main = world.account(0);
    let touched = world.calls(mark).await.into_iter().any(|call| {
        let account = call.account.unwrap_or_default();
        [&main.ghl_location, &main.timify_company, &main.timerex_team].contains(&&account)
    });
    assert!(!touched, "the other workspace's accounts were called");
    world.stop().await;
}

on_both!(
    Place: the_credentials_of_one_workspace_change_nothing_in_another,
    a_secret_speaks_for_its_own_workspace_whatever_ids_it_names,
);
