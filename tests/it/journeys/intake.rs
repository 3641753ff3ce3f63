//! Taking webhooks in: nothing is acknowledged that is not committed (law 1), nothing is kept twice (law 2), what cannot be
//! kept is asked for again (law 3), and where nothing can be proven there is no route (law 9).

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use lockstep::config::Config;
use lockstep::model::System;
use lockstep::sandbox::StandIn;
use serde_json::{Value, json};

use super::{contact, email, from_ghl, recorded, told};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, Reply, World, world};

/// A webhook of each kind of sender, ready to be sent: path, headers, body.
type Sent = (&'static str, Vec<(String, String)>, String);

fn senders(world: &World, mark: &str) -> [Sent; 4] {
    let account = world.account(0);
    let (company, team) = (&account.timify_company, &account.timerex_team);
    let timify = json!({
        "event": "customer_deleted", "companyId": company,
        "data": { "id": format!("{mark:f>24}"), "updatedAt": "2026-03-29T13:52:04Z" }
    });
    let timerex = json!({
        "webhook_type": "event_cancelled", "team_url_path": team,
        "event": { "id": mark, "canceled_at": "2026-03-29T13:52:04.000Z" }
    });
    let extension = json!({ "type": "task.deleted", "timestamp": "2026-03-29T13:52:04Z", "data": { "id": mark } });
    let ghl = told(world, 0, mark, mark, &json!({ "type": "ContactDelete" }));
    let signed = |from: StandIn, account: &str, path: &'static str, body: String| {
        (path, world.signed(from, account, &format!("msg_{mark}"), &body), body)
    };
    [
        signed(StandIn::vendor(System::Ghl), "", "/webhooks/ghl", ghl),
        signed(StandIn::vendor(System::Timify), company, "/webhooks/timify", timify.to_string()),
        signed(StandIn::vendor(System::Timerex), team, "/webhooks/timerex", timerex.to_string()),
        signed(StandIn::extension(System::Timerex), team, "/webhooks/timerex/main", extension.to_string()),
    ]
}

async fn send(world: &World, (path, headers, body): &Sent) -> Reply {
    world.post(path, headers, body.clone()).await
}

async fn what_cannot_be_committed_is_not_acknowledged_and_comes_again(place: &mut Place) {
    let world = world(place).await;
    place.break_commits().await;
    for (sent, status) in senders(&world, "a1").iter().zip([429, 503, 503, 503]) {
        let reply = send(&world, sent).await;
        reply.assert_problem(status, "not_stored");
        assert_eq!(reply.retry_after.as_deref(), Some("30"));
    }
    world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Emma") })).await;
    let refused = async || world.deliveries().await[0]["attempts"][0]["status"] == 429;
    world.until("the webhook of the edit is refused", refused).await;
    assert_eq!(recorded(&world, "main").await, 0);

    place.mend_commits().await;
    world.settle().await;
    world.everywhere(0, &email("Emma")).await;
    let attempts = world.deliveries().await[0]["attempts"].clone();
    assert_eq!(attempts.as_array().unwrap().last().unwrap()["status"], 200, "{attempts}");
    world.stop().await;
}

async fn the_answer_waits_for_the_commit(place: &mut Place) {
    let world = Arc::new(world(place).await);
    let lock = place.lock().await;
    let (waiting, sent) = (world.clone(), senders(&world, "b1"));
    let answer = tokio::spawn(async move { send(&waiting, &sent[0]).await });
    // Long enough for an answer that does not wait.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!answer.is_finished(), "it was answered before the commit");
    lock.release().await;
    let reply = answer.await.unwrap();
    assert_eq!((reply.status, &reply.body["status"]), (StatusCode::OK, &json!("recorded")));
    assert_eq!(recorded(&world, "main").await, 1);
    world.settle().await;
    Arc::into_inner(world).unwrap().stop().await;
}

async fn the_same_webhook_is_one_row_also_when_its_copies_come_at_once(place: &mut Place) {
    let world = Arc::new(world(place).await);
    for sent in senders(&world, "c1") {
        let copies: Vec<_> = (0..8)
            .map(|_| {
                let (world, sent) = (world.clone(), sent.clone());
                tokio::spawn(async move { send(&world, &sent).await })
            })
            .collect();
        let mut answers = Vec::new();
        for copy in copies {
            let reply = copy.await.unwrap();
            assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
            answers.push(reply.body["status"].as_str().unwrap().to_owned());
        }
        answers.sort();
        let expected: Vec<&str> = std::iter::repeat_n("duplicate", 7).chain(["recorded"]).collect();
        assert_eq!(answers, expected, "{}", sent.0);
        assert_eq!(send(&world, &sent).await.body["status"], "duplicate");
    }
    assert_eq!(recorded(&world, "main").await, 4);
    world.settle().await;
    Arc::into_inner(world).unwrap().stop().await;
}

async fn an_edit_whose_webhook_comes_twice_is_written_once(place: &mut Place) {
    let world = world(place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Jonas") })).await;
    world.settle().await;
    let (mark, before) = (world.mark().await, recorded(&world, "main").await);
    world.control(Method::POST, "duplicate", json!({ "system": "ghl", "count": 1 })).await;
    world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": { "city": "Kyoto" } })).await;
    world.settle().await;
    assert_eq!(world.writes(mark).await, ["timerex+ PUT contact", "timify PATCH contact"]);
    // The edit, and the echo of each write; the copy is none.
    assert_eq!(recorded(&world, "main").await, before + 3);
    world.assert_everywhere(0, &email("Jonas"), "city", "Kyoto").await;
    world.stop().await;
}

on_both!(
    Place: what_cannot_be_committed_is_not_acknowledged_and_comes_again,
    the_answer_waits_for_the_commit,
    the_same_webhook_is_one_row_also_when_its_copies_come_at_once,
    an_edit_whose_webhook_comes_twice_is_written_once,
);

/// Takes every key and secret out that could prove a sender or an operator.
fn without_secrets(config: &mut Config) {
    config.ops.token = None;
    config.systems.ghl.app_id = None;
    for connection in config.connections.values_mut() {
        connection.webhook_tokens.clear();
        connection.hmac_secrets.clear();
    }
    for workspace in &mut config.workspaces {
        workspace.extensions.clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_secret_there_is_no_route() {
    let mut plan = Plan::of(1);
    plan.adjust = without_secrets;
    let place = Place::sqlite().await;
    let world = plan.start(&place).await;
    for sent in senders(&world, "d1") {
        send(&world, &sent).await.assert_problem(404, "not_found");
    }
    let orders = [
        (Method::GET, "/status"),
        (Method::POST, "/reconcile"),
        (Method::GET, "/workspaces/main/preview"),
        (Method::POST, "/workspaces/main/live"),
        (Method::POST, "/workspaces/main/approve"),
        (Method::POST, "/workspaces/main/deletions"),
    ];
    for (method, path) in orders {
        world.ops(method, path, Value::Null).await.assert_problem(404, "not_found");
    }
    assert_eq!(world.ops(Method::GET, "/health/live", Value::Null).await.status, StatusCode::OK);
    assert_eq!(recorded(&world, "main").await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_without_the_token_is_refused() {
    let place = Place::sqlite().await;
    let world = world(&place).await;
    for token in ["", "Bearer", "Bearer wrong", "Basic sandbox-ops-token"] {
        let request = world.client.post(format!("http://{}/reconcile", world.app.ops)).header("authorization", token);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{token:?}");
    }
    assert_eq!(from_ghl(&world, "{}").await.status, StatusCode::UNAUTHORIZED, "a body of no app");
    world.stop().await;
}
