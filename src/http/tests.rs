//! Both listeners, asked as over HTTP, with a store in memory and doors of their own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::Router;
use axum::body::{Body, to_bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Request, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt;

use super::health::Health;
use super::ops::{NotWell, Ops, OpsError};
use super::routes::{Operations, Public, ops, public};
use super::*;
use crate::clock::{Clock, ManualClock, Millis, SystemClock};
use crate::config::{Config, checks};
use crate::ids::Ids;
use crate::model::{Install, InstallKey, Mode, Standing, System, Workspace};
use crate::receive::{Gate, Intake};
use crate::reconcile::Scope;
use crate::record::tests::MemoryLog;
use crate::record::{Directory, Recorder, Waiting};
use crate::secret::Secret;
use crate::store::{Load, Outlook, Result as StoreResult, Workspaces};
use crate::systems::{Door, Envelope};
use crate::verify::VerifiedWebhook;

const NOW: Millis = Millis(1_800_000_000_000);

/// Reads small bodies: `{"type", "account", "id"}`.
struct TestDoor;

impl Door for TestDoor {
    fn envelope(&self, webhook: &VerifiedWebhook) -> Envelope {
        let Ok(body) = serde_json::from_slice::<Value>(&webhook.raw().body) else {
            return Envelope::unparsed("no JSON");
        };
        let text = |key: &str| body[key].as_str().map(ToOwned::to_owned);
        assert_ne!(text("type").as_deref(), Some("panic"), "a reader with a fault");
        let known = text("type").is_some_and(|name| name == "ContactCreate");
        Envelope {
            delivery: text("id"),
            account: text("account"),
            label: text("type").unwrap_or_default(),
            standing: if known { Standing::Routed } else { Standing::NotMirrored },
            reason: (!known).then(|| "unknown type".to_owned()),
            ..Envelope::unparsed("")
        }
    }

    fn secrets(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Rows of workspaces that nothing has happened to, but one webhook of GHL.
struct QuietRows;

#[async_trait]
impl Workspaces for QuietRows {
    async fn register(&self, _: &[String], _: Mode, _: Millis) -> StoreResult<()> {
        Ok(())
    }
    async fn mode(&self, _: &str) -> StoreResult<Option<Mode>> {
        Ok(Some(Mode::Shadow))
    }
    async fn set_mode(&self, _: &str, _: Mode, _: Millis) -> StoreResult<()> {
        Ok(())
    }
    async fn last_webhooks(&self, _: &str) -> StoreResult<BTreeMap<System, Millis>> {
        Ok([(System::Ghl, NOW)].into())
    }
    async fn outlook(&self, _: &str, _: Millis) -> StoreResult<Option<Outlook>> {
        Ok(None)
    }
    async fn load(&self, _: &str) -> StoreResult<Load> {
        Ok(Load { undecided: 3, ..Load::default() })
    }
    async fn cursor(&self, _: &str, _: &str) -> StoreResult<Option<String>> {
        Ok(None)
    }
    async fn set_cursor(&self, _: &str, _: &str, _: &str, _: Millis) -> StoreResult<()> {
        Ok(())
    }
}

/// GHL let us read only; TIMIFY knows no scopes.
struct ReadOnly;

#[async_trait]
impl Access for ReadOnly {
    async fn install(&self, _: &Workspace, system: System) -> StoreResult<Option<Install>> {
        let awaited = Install::awaited(InstallKey::location("loc"), NOW);
        Ok((system == System::Ghl).then_some(awaited))
    }
    fn lacks(&self, _: &str, system: System) -> Lacks {
        let writing = (system == System::Ghl).then(|| "contacts.write".to_owned());
        Lacks { reading: [].into(), writing: writing.into_iter().collect() }
    }
}

/// Lets one owner connect, whose browser shows the cookie that was set.
struct Owner;

#[async_trait]
impl Connect for Owner {
    async fn begin(&self, _: System) -> Result<Begun, ConnectError> {
        Ok(Begun { url: Secret::new("https://vendor.test/choose?state=s1"), cookie: Secret::new("c1") })
    }
    async fn finish(&self, _: System, state: &str, cookie: &Secret, code: &Secret) -> Result<Connected, ConnectError> {
        if state != "s1" || cookie.expose() != "c1" {
            return Err(ConnectError::NotBegun);
        }
        match code.expose() {
            "good" => Ok(Connected {
                connected: vec![("loc".to_owned(), "<b>main</b>".to_owned())],
                left_out: vec!["other".to_owned()],
            }),
            "late" => Err(ConnectError::Slow),
            code => Err(ConnectError::Failed(format!("a cause that no page may tell: {code}").into())),
        }
    }
    fn is_https(&self) -> bool {
        true
    }
}

struct World {
    router: Router,
    log: Arc<MemoryLog>,
    key: Ed25519KeyPair,
    clock: Arc<ManualClock>,
}

fn config(key: &Ed25519KeyPair) -> Config {
    let der = STANDARD.encode(key.public_key().as_der().unwrap().as_ref());
    let text = format!(
        r#"
        [systems.ghl]
        app_id = "ours"
        ed25519_keys = ["-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----"]
        [connections.crm]
        system = "ghl"
        [connections.bookings]
        system = "timify"
        webhook_header = "x-lockstep-token"
        webhook_tokens = ["bookings-token"]
        [[workspaces]]
        name = "main"
        ghl = {{ location = "loc", connection = "crm" }}
        timify = {{ company = "co", connection = "bookings" }}
        [workspaces.extensions.timify]
        url = "https://flows.example.com"
        secrets = ["whsec_{}"]
        "#,
        STANDARD.encode("extension")
    );
    Config::read("test.toml", &text, Path::new("."), []).unwrap()
}

fn world() -> World {
    world_with(Waiting::default())
}

fn world_with(waiting: Waiting) -> World {
    let key = Ed25519KeyPair::generate().unwrap();
    let config = config(&key);
    let (checks, workspaces) = (checks(&config), config.workspaces());
    let log = Arc::new(MemoryLog::default());
    let (recorder, writer) = Recorder::new(Arc::clone(&log) as Arc<_>, waiting, Arc::new(SystemClock));
    tokio::spawn(writer.run(std::future::pending()));
    let manual = Arc::new(ManualClock::at(NOW));
    let clock: Arc<dyn Clock> = Arc::clone(&manual) as Arc<_>;
    let ids = Arc::new(Ids::seeded(1));
    let gate = |(system, checks): (&System, &Vec<_>)| {
        (*system, Gate { checks: checks.clone(), door: Arc::new(TestDoor) as Arc<dyn Door> })
    };
    let gates = checks.iter().map(gate).collect();
    let directory = Directory::of(&workspaces);
    let intake = Intake::new(gates, directory, recorder, Arc::new(|_, _| None), Arc::clone(&clock), Arc::clone(&ids));
    let health = Health::new(
        Arc::new(QuietRows),
        workspaces,
        &checks,
        Arc::new(ReadOnly),
        intake.sightings(),
        Arc::clone(&clock),
    );
    let router = public(Public {
        intake: Arc::new(intake),
        health: Arc::new(health),
        connect: Arc::new(Owner),
        frame: Frame { clock, ids },
        body_limit: 1 << 20,
    });
    World { router, log, key, clock: manual }
}

pub(super) async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap();
    (parts.status, parts.headers, body)
}

fn post(path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let plain = Request::post(path).header("content-type", "application/json");
    let request = headers.iter().fold(plain, |request, (name, value)| request.header(*name, *value));
    request.body(body.into()).unwrap()
}

impl World {
    /// A webhook of GHL, signed.
    fn ghl(&self, body: &str) -> Request<Body> {
        let signature = STANDARD.encode(self.key.sign(body.as_bytes()));
        post("/webhooks/ghl", &[("x-ghl-signature", &signature)], body.to_owned())
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, Value) {
        let (status, headers, body) = ask(&self.router, request).await;
        assert!(headers.contains_key("x-request-id"));
        let form = headers["content-type"].to_str().unwrap();
        if status.is_success() {
            assert_eq!(form, "application/json");
        } else {
            assert_eq!(form, "application/problem+json");
            assert_eq!(body["status"], status.as_u16());
            assert_eq!(body["request_id"], headers["x-request-id"].to_str().unwrap());
        }
        (status, body)
    }

    fn standings(&self) -> Vec<Standing> {
        self.log.rows.lock().unwrap().iter().map(|row| row.standing).collect()
    }
}

const CONTACT: &str = r#"{"appId":"ours","type":"ContactCreate","account":"loc","id":"1"}"#;

#[tokio::test]
async fn a_proven_webhook_is_recorded_and_its_repetition_is_a_duplicate() {
    let world = world();
    let (status, body) = world.ask(world.ghl(CONTACT)).await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("recorded")));
    let (status, body) = world.ask(world.ghl(CONTACT)).await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("duplicate")));
    assert_eq!(world.standings(), [Standing::Routed]);
    assert_eq!(world.log.rows.lock().unwrap()[0].workspace.as_deref(), Some("main"));
}

#[rstest]
#[case::not_json("hello", Standing::Unparsed)]
#[case::truncated(r#"{"appId":"ours","type":"Conta"#, Standing::Unparsed)]
#[case::empty("", Standing::Unparsed)]
#[case::unknown_type(r#"{"appId":"ours","type":"MoonPhase","account":"loc"}"#, Standing::NotMirrored)]
#[case::unknown_workspace(r#"{"appId":"ours","type":"ContactCreate","account":"elsewhere"}"#, Standing::Unrouted)]
#[case::reader_with_a_fault(r#"{"appId":"ours","type":"panic","account":"loc"}"#, Standing::Unparsed)]
#[tokio::test]
async fn a_proven_webhook_that_is_not_understood_is_kept_and_answered_200(
    #[case] body: &str,
    #[case] standing: Standing,
) {
    let world = world();
    let (status, answer) = world.ask(world.ghl(body)).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("recorded")));
    assert_eq!(world.standings(), [standing]);
    assert_eq!(world.log.rows.lock().unwrap()[0].body, body.as_bytes());
}

#[tokio::test]
async fn the_wrong_content_type_is_kept_all_the_same() {
    let world = world();
    let mut request = world.ghl(CONTACT);
    request.headers_mut().insert("content-type", "text/html".parse().unwrap());
    assert_eq!(world.ask(request).await.0, StatusCode::OK);
    assert_eq!(world.standings(), [Standing::Routed]);
    assert_eq!(world.log.rows.lock().unwrap()[0].headers["content-type"], "text/html");
}

#[rstest]
#[case::missing(None)]
#[case::na(Some("N/A"))]
#[case::empty(Some(""))]
#[case::wrong(Some("AAAA"))]
#[tokio::test]
async fn a_webhook_that_is_not_proven_is_401_and_leaves_nothing(#[case] signature: Option<&str>) {
    let world = world();
    let headers: Vec<_> = signature.map(|value| ("x-ghl-signature", value)).into_iter().collect();
    let (status, body) = world.ask(post("/webhooks/ghl", &headers, CONTACT)).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthorized")));
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["type", "title", "status", "code", "request_id"]);
    assert!(world.standings().is_empty());
}

#[tokio::test]
async fn a_webhook_of_another_app_is_401_and_leaves_nothing() {
    let world = world();
    for body in [CONTACT.replace("ours", "theirs"), CONTACT.replace("appId", "app")] {
        assert_eq!(world.ask(world.ghl(&body)).await.0, StatusCode::UNAUTHORIZED);
    }
    assert!(world.standings().is_empty());
}

#[tokio::test]
async fn an_old_timestamp_is_401_where_the_scheme_has_one() {
    let world = world();
    let request = |sent: i64| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"extension").unwrap();
        mac.update(format!("msg_1.{sent}.{CONTACT}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let sent = sent.to_string();
        let headers = [("webhook-id", "msg_1"), ("webhook-timestamp", &sent), ("webhook-signature", &signature)];
        post("/webhooks/timify", &headers, CONTACT)
    };
    assert_eq!(world.ask(request(NOW.0 / 1_000 - 301)).await.0, StatusCode::UNAUTHORIZED);
    assert!(world.standings().is_empty());
    assert_eq!(world.ask(request(NOW.0 / 1_000)).await.0, StatusCode::OK);
    assert!(world.log.rows.lock().unwrap()[0].extension);
}

#[tokio::test]
async fn two_mebibytes_are_413_whether_or_not_their_length_is_said() {
    let world = world();
    let large = vec![b' '; 2 << 20];
    let said = post("/webhooks/ghl", &[("content-length", "2097152")], large.clone());
    let (status, body) = world.ask(said).await;
    assert_eq!((status, &body["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("body_too_large")));
    let unsaid = post("/webhooks/ghl", &[], large);
    assert_eq!(world.ask(unsaid).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(world.standings().is_empty());
}

#[rstest]
#[case::unknown_system("/webhooks/hubspot")]
#[case::system_without_checks("/webhooks/timerex")]
#[case::no_system("/webhooks")]
#[case::deeper("/webhooks/ghl/main/more")]
#[tokio::test]
async fn what_has_no_route_is_404(#[case] path: &str) {
    let world = world();
    let (status, body) = world.ask(post(path, &[("x-timerex-authorization", "x")], CONTACT)).await;
    assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

#[tokio::test]
async fn another_method_is_405() {
    let world = world();
    let (status, body) = world.ask(Request::get("/webhooks/ghl").body(Body::empty()).unwrap()).await;
    assert_eq!((status, &body["code"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("method_not_allowed")));
}

#[tokio::test]
async fn what_cannot_be_stored_is_429_to_ghl_and_503_to_the_others() {
    let world = world();
    world.log.is_down.store(true, Ordering::SeqCst);
    let timify = || post("/webhooks/timify/main", &[("x-lockstep-token", "bookings-token")], CONTACT);
    for (request, expected) in
        [(world.ghl(CONTACT), StatusCode::TOO_MANY_REQUESTS), (timify(), StatusCode::SERVICE_UNAVAILABLE)]
    {
        let (status, headers, body) = ask(&world.router, request).await;
        assert_eq!((status, &body["code"]), (expected, &json!("not_stored")));
        assert_eq!(headers["retry-after"], "30");
    }
    world.log.is_down.store(false, Ordering::SeqCst);
    assert_eq!(world.ask(timify()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_id_that_the_sender_brings_is_not_taken_over() {
    let world = world();
    let mut request = world.ghl(CONTACT);
    request.headers_mut().insert("x-request-id", "mine".parse().unwrap());
    let (_, headers, _) = ask(&world.router, request).await;
    assert_ne!(headers["x-request-id"], "mine");
}

#[tokio::test]
async fn health_says_who_is_registered_and_who_was_seen() {
    let world = world();
    let request = || Request::get("/health").body(Body::empty()).unwrap();
    let (status, body) = world.ask(request()).await;
    assert_eq!(status, StatusCode::OK);
    let main = &body["workspaces"][0];
    assert_eq!((&main["name"], &main["mode"]), (&json!("main"), &json!("shadow")));
    assert_eq!(main["systems"]["ghl"]["last_webhook"], NOW.rfc3339());
    assert_eq!(main["systems"]["timify"]["webhooks"], "registered but nothing seen yet");
    assert_eq!(main["load"]["undecided"], 3);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.ask(request()).await.1, body);
}

struct TestOps;

#[async_trait]
impl Ops for TestOps {
    fn live(&self) -> Result<(), NotWell> {
        Ok(())
    }
    async fn ready(&self) -> Result<(), NotWell> {
        Err(NotWell("the store is not available".to_owned()))
    }
    async fn status(&self) -> Result<Value, OpsError> {
        Ok(json!({"due": 0}))
    }
    async fn reconcile(&self, workspace: Option<String>, scope: Scope) -> Result<Value, OpsError> {
        match workspace.as_deref() {
            Some("nobody") => Err(OpsError::UnknownWorkspace("nobody".to_owned())),
            Some("broken") => Err(OpsError::Failed("a secret cause".into())),
            _ => Ok(json!({"run": "1", "workspace": workspace, "dry_run": scope.dry_run})),
        }
    }
    async fn run(&self, id: &str) -> Result<Option<Value>, OpsError> {
        Ok((id == "1").then(|| json!({"run": "1", "status": "done"})))
    }
    async fn preview(&self, workspace: &str) -> Result<Value, OpsError> {
        Ok(json!({"workspace": workspace}))
    }
    async fn go_live(&self, _: &str, code: &str) -> Result<Value, OpsError> {
        if code == "right" { Ok(json!({})) } else { Err(OpsError::Conflict("another preview".to_owned())) }
    }
    async fn deletion(&self, _: &str, _: Deletion) -> Result<Value, OpsError> {
        Ok(json!({}))
    }
    async fn approve(&self, _: &str, subject: &str) -> Result<Value, OpsError> {
        Ok(json!({"subject": subject}))
    }
    async fn installs(&self) -> Result<Value, OpsError> {
        Ok(json!({"installs": []}))
    }
    async fn rotate(&self, install: InstallKey) -> Result<Value, OpsError> {
        Ok(json!({"install": install.to_string()}))
    }
    async fn revoke(&self, install: InstallKey, uninstall: bool) -> Result<Value, OpsError> {
        Ok(json!({"install": install.to_string(), "uninstall": uninstall}))
    }
    fn capabilities(&self, workspace: Option<&str>) -> Result<Value, OpsError> {
        Ok(json!({"workspace": workspace}))
    }
    async fn inspect(&self, workspace: &str) -> Result<Value, OpsError> {
        Ok(json!({"workspace": workspace}))
    }
    async fn ask(&self, _: &str, system: System, question: Question) -> Result<Value, OpsError> {
        Ok(json!({"system": system, "operation": question.operation}))
    }
    async fn invite(&self, _: &str, order: Invite) -> Result<Value, OpsError> {
        Ok(json!({"contact": order.contact, "to": order.to.to_string(), "due": order.due}))
    }
    async fn invitations(&self, workspace: &str) -> Result<Value, OpsError> {
        Ok(json!({"workspace": workspace}))
    }
}

#[rstest]
#[case::rotate("/installs/ghl/location/loc/rotate", "", json!({"install": "ghl/location/loc"}))]
#[case::revoke("/installs/ghl/company/co/revoke", r#"{"uninstall": true}"#, json!({"install": "ghl/company/co", "uninstall": true}))]
#[case::ask("/workspaces/main/ask/ghl", r#"{"operation": "contacts.get"}"#, json!({"system": "ghl", "operation": "contacts.get"}))]
#[tokio::test]
async fn operators_reach_installs_and_systems(#[case] path: &str, #[case] body: &str, #[case] answer: Value) {
    let (status, _, body) =
        ask(&operations(Some("t")), post(path, &[("authorization", "Bearer t")], body.to_owned())).await;
    assert_eq!((status, body), (StatusCode::OK, answer));
    let unknown = post("/installs/ghl/planet/x/rotate", &[("authorization", "Bearer t")], "");
    assert_eq!(ask(&operations(Some("t")), unknown).await.0, StatusCode::NOT_FOUND);
}

#[rstest]
#[case::note(r#"{"contact": "a@b", "calendar": "intro", "to": "note"}"#, 201, json!({"contact": "a@b", "to": "note", "due": null}))]
#[case::task(r#"{"contact": "a@b", "calendar": "intro", "to": "task", "due": "1970-01-01T00:00:01Z"}"#, 201, json!({"contact": "a@b", "to": "task", "due": 1000}))]
#[case::nowhere(r#"{"contact": "a@b", "calendar": "intro", "to": "mail"}"#, 422, Value::Null)]
#[case::never(r#"{"contact": "a@b", "calendar": "intro", "to": "task", "due": "soon"}"#, 422, Value::Null)]
#[tokio::test]
async fn an_invitation_says_where_its_link_goes(#[case] order: &str, #[case] status: u16, #[case] answer: Value) {
    let headers = [("authorization", "Bearer t")];
    let asked = post("/workspaces/main/invitations", &headers, order.to_owned());
    let (answered, _, body) = ask(&operations(Some("t")), asked).await;
    assert_eq!(answered.as_u16(), status, "{body}");
    if status == 201 {
        assert_eq!(body, answer);
    } else {
        assert_eq!(body["code"], "bad_request");
    }
}

pub(super) fn operations(token: Option<&str>) -> Router {
    let frame = Frame { clock: Arc::new(ManualClock::at(NOW)), ids: Arc::new(Ids::seeded(1)) };
    let decisions = Arc::new(decisions::tests::TestDecisions);
    ops(Operations { ops: Arc::new(TestOps), decisions, token: token.map(Secret::new), frame })
}

#[tokio::test]
async fn without_an_ops_token_only_health_is_mounted() {
    let router = operations(None);
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(ask(&router, get("/health/live")).await.0, StatusCode::OK);
    let (status, _, body) = ask(&router, get("/health/ready")).await;
    assert_eq!((status, &body["detail"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("the store is not available")));
    assert_eq!(ask(&router, get("/status")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&router, post("/reconcile", &[("authorization", "Bearer ")], "")).await.0, StatusCode::NOT_FOUND);
}

#[rstest]
#[case::none(&[], StatusCode::UNAUTHORIZED)]
#[case::wrong(&[("authorization", "Bearer other")], StatusCode::UNAUTHORIZED)]
#[case::no_scheme(&[("authorization", "ops-token")], StatusCode::UNAUTHORIZED)]
#[case::short(&[("authorization", "Bearer")], StatusCode::UNAUTHORIZED)]
#[case::ours(&[("authorization", "Bearer ops-token")], StatusCode::ACCEPTED)]
#[case::lower_case_scheme(&[("authorization", "bearer ops-token")], StatusCode::ACCEPTED)]
#[tokio::test]
async fn reconcile_asks_for_the_ops_token(#[case] headers: &[(&str, &str)], #[case] expected: StatusCode) {
    let (status, headers, _) = ask(&operations(Some("ops-token")), post("/reconcile", headers, "")).await;
    assert_eq!(status, expected);
    assert_eq!(headers.contains_key("www-authenticate"), expected == StatusCode::UNAUTHORIZED);
}

#[rstest]
#[case::nothing("/reconcile", "", StatusCode::ACCEPTED, "dry_run", json!(false))]
#[case::query("/reconcile?dry_run=true&workspace=main", "", StatusCode::ACCEPTED, "dry_run", json!(true))]
#[case::body("/reconcile", r#"{"dry_run":true}"#, StatusCode::ACCEPTED, "dry_run", json!(true))]
#[case::misspelt_query("/reconcile?dryrun=true", "", StatusCode::BAD_REQUEST, "code", json!("bad_request"))]
#[case::misspelt_body("/reconcile", r#"{"dryRun":true}"#, StatusCode::BAD_REQUEST, "code", json!("bad_request"))]
#[case::both("/reconcile?dry_run=true", "{}", StatusCode::BAD_REQUEST, "code", json!("bad_request"))]
#[case::unknown("/reconcile?workspace=nobody", "", StatusCode::NOT_FOUND, "code", json!("unknown_workspace"))]
#[case::failed("/reconcile?workspace=broken", "", StatusCode::INTERNAL_SERVER_ERROR, "code", json!("internal"))]
#[tokio::test]
async fn reconcile_takes_its_order_from_query_or_body_and_guesses_nothing(
    #[case] path: &str,
    #[case] body: &'static str,
    #[case] expected: StatusCode,
    #[case] key: &str,
    #[case] value: Value,
) {
    let router = operations(Some("ops-token"));
    let (status, _, answer) = ask(&router, post(path, &[("authorization", "Bearer ops-token")], body)).await;
    assert_eq!((status, &answer[key]), (expected, &value));
    assert!(!answer.to_string().contains("a secret cause"));
}

#[rstest]
#[case::right(r#"{"code":"right"}"#, StatusCode::OK)]
#[case::stale(r#"{"code":"wrong"}"#, StatusCode::CONFLICT)]
#[case::misspelt(r#"{"cod":"right"}"#, StatusCode::UNPROCESSABLE_ENTITY)]
#[tokio::test]
async fn going_live_needs_the_code_of_the_present_preview(#[case] body: &'static str, #[case] expected: StatusCode) {
    let headers = [("authorization", "Bearer ops-token"), ("content-type", "application/json")];
    let (status, _, _) = ask(&operations(Some("ops-token")), post("/workspaces/main/live", &headers, body)).await;
    assert_eq!(status, expected);
}

async fn page(world: &World, path: &str, cookie: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path);
    let request = cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie));
    let response = world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    (parts.status, parts.headers, text)
}

#[tokio::test]
async fn connecting_sends_the_owner_to_the_vendor_with_a_cookie_that_only_the_way_back_can_use() {
    let world = world();
    let (status, headers, _) = page(&world, "/oauth/ghl/connect", None).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "https://vendor.test/choose?state=s1");
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert_eq!(cookie, "__Host-lockstep-connect=c1; Max-Age=600; Path=/; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(headers["cache-control"], "no-store");

    let back = "/oauth/ghl/callback?state=s1&code=good";
    let (status, headers, text) = page(&world, back, Some("a=b; __Host-lockstep-connect=c1")).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.contains("&lt;b&gt;main&lt;/b&gt;") && !text.contains("<b>"), "{text}");
    assert!(text.contains("<code>other</code> was left out"), "{text}");
    assert!(headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
}

#[rstest]
#[case::no_cookie("state=s1&code=good", None, 400)]
#[case::another_cookie("state=s1&code=good", Some("__Host-lockstep-connect=c2"), 400)]
#[case::a_cookie_without_the_prefix("state=s1&code=good", Some("lockstep-connect=c1"), 400)]
#[case::an_install_from_the_marketplace("code=good", Some("__Host-lockstep-connect=c1"), 400)]
#[case::the_owner_said_no("error=access_denied%3Cscript%3E&state=s1", Some("__Host-lockstep-connect=c1"), 400)]
#[case::the_vendor_failed("state=s1&code=secret-code", Some("__Host-lockstep-connect=c1"), 502)]
#[tokio::test]
async fn a_way_back_that_was_not_begun_here_is_refused_and_tells_no_secret(
    #[case] query: &str,
    #[case] cookie: Option<&str>,
    #[case] status: u16,
) {
    let (got, _, text) = page(&world(), &format!("/oauth/ghl/callback?{query}"), cookie).await;
    assert_eq!(got.as_u16(), status, "{text}");
    assert!(text.contains("href=\"connect\""), "{text}");
    for secret in ["secret-code", "good", "s1", "c1", "<script>"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn a_vendor_that_takes_long_is_not_told_as_a_failure() {
    let back = "/oauth/ghl/callback?state=s1&code=late";
    let (status, _, text) = page(&world(), back, Some("__Host-lockstep-connect=c1")).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    assert!(text.contains("Not connected yet") && text.contains("goes on without you"), "{text}");
}

#[tokio::test]
async fn health_says_which_workspace_is_read_only_and_why() {
    let (_, health) = world().ask(Request::get("/health").body(Body::empty()).unwrap()).await;
    let ghl = &health["workspaces"][0]["systems"]["ghl"];
    assert_eq!(ghl["read_only"], true);
    assert_eq!(ghl["not_granted"], json!(["contacts.write"]));
    assert_eq!(
        ghl["install"],
        json!({ "state": "awaiting" }),
        "no reason: it has accounts, and everybody may read this"
    );
    assert!(health["workspaces"][0]["systems"]["timify"].get("read_only").is_none());
}
