//! Bad input over real HTTP: each gets its documented answer, nothing that was proven is lost, and the service goes on.

use http::StatusCode;
use lockstep::clock::Millis;
use lockstep::model::System;
use lockstep::sandbox::StandIn;
use lockstep::sandbox::signing::standard_webhooks;
use serde_json::json;

use super::{contact, email, from_ghl, recorded, told};
use crate::support::databases::{Place, on_both};
use crate::support::world::{World, now, world};

/// Without proof: 401, and nothing is kept.
async fn unproven(world: &World) {
    let body = told(world, 0, "forged", "x", &json!({}));
    let good = world.signed(StandIn::vendor(System::Ghl), "", "", &body);
    let name = "x-ghl-signature".to_owned();
    let wrong = world.signed(StandIn::vendor(System::Ghl), "", "", "another body");
    let signatures = [
        vec![],
        vec![(name.clone(), "N/A".to_owned())],
        vec![(name.clone(), String::new())],
        wrong,
        [good.clone(), good.clone()].concat(),
    ];
    for headers in signatures {
        world.post("/webhooks/ghl", &headers, body.clone()).await.assert_problem(401, "unauthorized");
    }
    let changed = body.replace("ContactUpdate", "ContactDelete");
    world.post("/webhooks/ghl", &good, changed).await.assert_problem(401, "unauthorized");
    let foreign = body.replace(&world.settings.ghl.app_id, "65a0b1c2d3e4f5a6b7c8d9e1");
    from_ghl(world, &foreign).await.assert_problem(401, "unauthorized");

    let (account, task) = (world.account(0), r#"{"type":"task.deleted","data":{"id":"t"}}"#);
    for minutes in [-6, 6] {
        let at = Millis(now().0 + minutes * 60_000);
        let headers = standard_webhooks(&account.timify_extension_secret, "old", at, task.as_bytes());
        world.post("/webhooks/timify/main", &headers, task).await.assert_problem(401, "unauthorized");
    }
    let token = |value: &str| vec![(world.settings.timerex_header.clone(), value.to_owned())];
    for headers in [token("wrong"), token("N/A"), vec![]] {
        world.post("/webhooks/timerex", &headers, "{}").await.assert_problem(401, "unauthorized");
    }
    assert!(world.app.store.origins("main").await.unwrap().is_empty());
}

/// What never becomes a webhook.
async fn no_webhook(world: &World) {
    let large = vec![b' '; 2 << 20];
    let body = String::from_utf8(large.clone()).unwrap();
    from_ghl(world, &body).await.assert_problem(413, "body_too_large");
    let unsaid = reqwest::Body::from(large);
    let headers = vec![("transfer-encoding".to_owned(), "chunked".to_owned())];
    world.post("/webhooks/ghl", &headers, unsaid).await.assert_problem(413, "body_too_large");
    for path in ["/webhooks", "/webhooks/hubspot", "/webhooks/ghl/main/more", "/"] {
        world.post(path, &[], "{}").await.assert_problem(404, "not_found");
    }
    let got = world.client.get(format!("http://{}/webhooks/ghl", world.app.public)).send().await.unwrap();
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
}

async fn bad_input_gets_its_documented_answer_and_what_was_proven_is_kept(place: &mut Place) {
    let world = world(place).await;
    unproven(&world).await;
    no_webhook(&world).await;

    let whole = told(&world, 0, "w1", "c1", &json!({}));
    let unparsed = [
        "hello".to_owned(),
        String::new(),
        "\u{0}\u{ffff}".to_owned(),
        whole[..whole.len() / 2].to_owned(),
        whole.replace("ContactUpdate", "MoonPhase"),
        told(&world, 0, "w2", "", &json!({})),
        told(&world, 0, "w3", "a\u{0}b", &json!({})),
    ];
    for body in &unparsed {
        let reply = from_ghl(&world, body).await;
        assert_eq!((reply.status, &reply.body["status"]), (StatusCode::OK, &json!("recorded")), "{body}");
    }
    let elsewhere =
        told(&world, 0, "elsewhere", "c1", &json!({})).replace(&world.account(0).ghl_location, "AnotherLocation00000");
    assert_eq!(from_ghl(&world, &elsewhere).await.status, StatusCode::OK);
    let listed = world.command(&["changes", "--unparsed"]);
    assert!(listed.contains(&format!("\n{} unparsed", unparsed.len())), "{listed}");
    let bodies = world.command(&["changes", "--unparsed", "--bodies"]);
    assert!(bodies.contains(&unparsed[3]) && bodies.contains("hello"), "the raw bodies are kept");
    assert!(world.command(&["changes", "--unrouted"]).contains("\n1 unrouted"));

    // The wrong content type says nothing about the body.
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Luca") })).await;
    world.settle().await;
    let before = recorded(&world, "main").await;
    let echo = told(&world, 0, "w4", &id, &contact("ghl", "Luca"));
    let mut headers = world.signed(StandIn::vendor(System::Ghl), "", "", &echo);
    headers.push(("content-type".to_owned(), "text/html".to_owned()));
    assert_eq!(world.post("/webhooks/ghl", &headers, echo).await.body["status"], "recorded");
    assert_eq!(recorded(&world, "main").await, before + 1);
    world.settle().await;
    world.everywhere(0, &email("Luca")).await;
    world.stop().await;
}

on_both!(Place: bad_input_gets_its_documented_answer_and_what_was_proven_is_kept);
