use super::*;
use crate::clock::{Clock, ManualClock};
use crate::systems::Version;
use crate::systems::allowance::{Leave, Unlimited};
use crate::systems::testing::{Script, Told, told, told_with};
use async_trait::async_trait;
use rstest::rstest;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// A credential that hands out `token-N` and renews itself when refused.
#[derive(Default)]
struct Renewing(AtomicU32);

#[async_trait]
impl Credential for Renewing {
    async fn sign(&self, request: &mut Request<Bytes>) -> Result<Version, SystemError> {
        let version = self.0.load(Ordering::SeqCst);
        request.headers_mut().insert("authorization", format!("token-{version}").parse().unwrap());
        Ok(Version(version.into()))
    }
    async fn refused(&self, _signed: Version, _message: &str) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) < 1
    }
    fn lacks(&self, _scope: &str) -> bool {
        false
    }
    fn denied(&self, _scope: &str) {}
}

fn caller(told: impl IntoIterator<Item = Told>) -> (Caller, Arc<Script>) {
    asking(told, Arc::new(Unlimited))
}

fn asking(told: impl IntoIterator<Item = Told>, allowance: Arc<dyn Allowance>) -> (Caller, Arc<Script>) {
    let script = Arc::new(Script::new(told));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Millis::parse("2026-01-02T03:04:05Z").unwrap()));
    let offset = Arc::new(ClockOffset::new(clock));
    let credential = Arc::new(Renewing::default());
    (Caller::new(System::Ghl, "http://vendor/api/", script.clone(), credential, offset, allowance), script)
}

async fn once(answer: Told, writes: bool) -> Result<(u16, Value), SystemError> {
    caller([answer]).0.call(Method::GET, "/x", &[], None, writes).await
}

#[tokio::test]
async fn a_request_carries_credential_headers_and_body() {
    let (caller, script) = caller([told(201, json!({"id": 1}))]);
    let answer = caller.call(Method::POST, "/things?a=b", &[("Version", "1")], Some(json!({"n": 1})), true).await;
    assert_eq!(answer.unwrap(), (201, json!({"id": 1})));
    assert_eq!(script.asked(), [("POST /api/things?a=b".to_owned(), json!({"n": 1}))]);
    for (name, value) in [("version", "1"), ("authorization", "token-0"), ("content-type", "application/json")] {
        assert_eq!(script.header(name).as_deref(), Some(value));
    }
}

#[tokio::test]
async fn a_refused_credential_is_renewed_once_and_no_more() {
    let (caller, script) = caller([told(401, json!({})), told(200, json!({}))]);
    assert!(caller.call(Method::GET, "/x", &[], None, false).await.is_ok());
    assert_eq!(script.header("authorization").as_deref(), Some("token-1"));
    let (caller, script) =
        self::caller([told(401, json!({})), told(401, json!({"message": "no"})), told(200, json!({}))]);
    let error = caller.call(Method::GET, "/x", &[], None, false).await.unwrap_err();
    assert!(matches!(error, SystemError::Unauthorized { status: 401, ref reason, .. } if reason == "no"), "{error}");
    assert_eq!(script.asked().len(), 2);
}

#[rstest]
#[case::redirect(told_with(302, &[("location", "https://vendor/login")], "<!DOCTYPE html>"))]
#[case::page(told_with(200, &[("content-type", "text/html")], "<!DOCTYPE html>"))]
#[tokio::test]
async fn a_login_page_is_a_refused_credential_where_the_vendor_has_one(#[case] page: Told) {
    let (caller, script) = self::caller([page.clone(), told(200, json!({ "id": 1 }))]);
    let answer = caller.behind_login().call(Method::GET, "/x", &[], None, false).await;
    assert_eq!(answer.unwrap(), (200, json!({ "id": 1 })));
    assert_eq!((script.asked().len(), script.header("authorization").as_deref()), (2, Some("token-1")));
    let (caller, script) = self::caller([page, told(200, json!({}))]);
    assert!(caller.call(Method::GET, "/x", &[], None, false).await.is_err());
    assert_eq!(script.asked().len(), 1, "elsewhere a page is no word about the credential");
}

#[tokio::test]
async fn a_page_in_the_place_of_a_writes_answer_is_unclear_and_the_write_is_not_repeated() {
    let page = || told_with(200, &[("content-type", "text/html")], "<!DOCTYPE html>");
    for login in [false, true] {
        let (caller, script) = self::caller([page(), told(200, json!({}))]);
        let caller = if login { caller.behind_login() } else { caller };
        let error = caller.call(Method::POST, "/x", &[], None, true).await.unwrap_err();
        assert!(matches!(error, SystemError::Unclear { status: Some(200), .. }), "{error}");
        assert_eq!(script.asked().len(), 1);
    }
    let moved = told_with(302, &[("location", "https://vendor/login")], "<!DOCTYPE html>");
    let (caller, script) = self::caller([moved, told(200, json!({}))]);
    assert!(caller.behind_login().call(Method::POST, "/x", &[], None, true).await.is_ok());
    assert_eq!(script.asked().len(), 2, "what is redirected was not applied");
}

#[rstest]
#[case::forbidden(403, false, "refuses our credentials")]
#[case::gone(404, true, "no longer has it")]
#[case::refused(422, true, "refuses it")]
#[case::busy_write(503, true, "no clear answer")]
#[case::broken_write(500, true, "no clear answer")]
#[case::timed_out_write(408, true, "no clear answer")]
#[case::broken_read(502, false, "could not be reached")]
#[case::moved(307, false, "refuses it")]
#[case::limited(429, true, "asks to wait")]
#[tokio::test]
async fn a_status_becomes_what_to_do_next(#[case] status: u16, #[case] writes: bool, #[case] said: &str) {
    let error = once(told(status, json!({"message": "m"})), writes).await.unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert_eq!(error.status(), Some(status));
}

#[tokio::test]
async fn a_missing_answer_is_unclear_for_a_write_only_and_never_for_what_was_not_sent() {
    let lost = || Err(TransportError::NoAnswer("timeout".to_owned()));
    assert!(matches!(once(lost(), true).await, Err(SystemError::Unclear { status: None, .. })));
    assert!(matches!(once(lost(), false).await, Err(SystemError::Unavailable { .. })));
    let refused = Err(TransportError::NotSent("refused".to_owned()));
    assert!(matches!(once(refused, true).await, Err(SystemError::Unavailable { .. })));
}

#[tokio::test]
async fn a_page_that_is_not_json_is_neither_a_success_nor_a_deletion() {
    assert!(matches!(once(told_with(200, &[], "<html>"), false).await, Err(SystemError::Garbled { status: 200, .. })));
    assert!(matches!(once(told_with(404, &[], "<html>"), false).await, Err(SystemError::Refused { status: 404, .. })));
    assert_eq!(once(told_with(204, &[], ""), true).await.unwrap(), (204, Value::Null));
}

#[rstest]
#[case(429, &[("retry-after", "7")], Some(7_000))]
#[case(429, &[("retry-after", "Fri, 02 Jan 2026 03:04:35 GMT")], Some(30_000))]
#[case(429, &[("x-ratelimit-interval-milliseconds", "10000")], Some(10_000))]
#[case(503, &[("retry-after", "2")], Some(2_000))]
#[case(429, &[], None)]
#[tokio::test]
async fn the_wait_a_vendor_asks_for_is_heeded(
    #[case] status: u16,
    #[case] headers: &[(&str, &str)],
    #[case] expected: Option<u64>,
) {
    let error = once(told_with(status, headers, ""), false).await.unwrap_err();
    let SystemError::Wait { after, .. } = error else { panic!("{error}") };
    assert_eq!(after, expected.map(Duration::from_millis));
}

#[tokio::test]
async fn the_date_of_an_answer_tells_the_vendors_clock() {
    let (caller, _) = caller([told_with(200, &[("date", "Fri, 02 Jan 2026 02:59:05 GMT")], "{}")]);
    caller.call(Method::GET, "/x", &[], None, false).await.unwrap();
    assert!((caller.offset().ms() + 300_000).abs() <= 1_000, "{}", caller.offset().ms());
}

#[test]
fn a_message_is_one_short_line_with_the_trace() {
    let line = |body: Value| Reply { status: 422, body, readable: true }.message();
    assert_eq!(line(json!({"message": ["a", "b"], "traceId": "t-1"})), "a; b (trace t-1)");
    assert_eq!(line(json!({"error": {"message": "c"}})), "c");
    assert_eq!(line(json!({"error": "invalid_grant", "error_description": "d\n e"})), "d e");
    assert_eq!(line(json!({"secret": "x"})), "HTTP 422");
    let links = "see https://x.test/cancel/abc?k=1, (http://u:p@y.test) or https://z.test now";
    assert_eq!(line(json!({ "message": links })), "see https://x.test/… (http://y.test)/… or https://z.test now");
    assert_eq!(line(json!({"message": "ä".repeat(999)})).chars().count(), LONGEST_MESSAGE + 1);
}

#[test]
fn encoded_text_cannot_leave_its_place() {
    assert_eq!(encode("a+b@c.d/../?x=1&y"), "a%2Bb%40c.d%2F..%2F%3Fx%3D1%26y");
}

/// Gives leave so many times, and keeps whether each call went on with something, and what was learned.
#[derive(Clone)]
struct Counted(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    left: u32,
    errands: Vec<Errand>,
    learned: Vec<RateSeen>,
    ended: Vec<bool>,
}

impl Counted {
    fn new(left: u32) -> Self {
        Self(Arc::new(Mutex::new(Counts { left, ..Counts::default() })))
    }
}

#[async_trait]
impl Allowance for Counted {
    async fn pass(&self, errand: Errand) -> Result<Box<dyn Leave>, Denied> {
        let mut counted = self.0.lock().unwrap();
        counted.left = counted.left.checked_sub(1).ok_or(Denied::Spent(Duration::from_mins(5)))?;
        counted.errands.push(errand);
        Ok(Box::new(self.clone()))
    }
}

impl Leave for Counted {
    fn learn(&self, seen: &RateSeen) {
        self.0.lock().unwrap().learned.push(*seen);
    }

    fn ended(&self, well: bool) {
        self.0.lock().unwrap().ended.push(well);
    }
}

#[tokio::test]
async fn every_call_that_leaves_needs_leave_also_the_one_after_a_renewal() {
    let counted = Counted::new(3);
    let told = [told(401, json!({})), told(200, json!({})), told(200, json!({})), told(200, json!({}))];
    let (caller, script) = asking(told, Arc::new(counted.clone()));
    let ask = |writes| caller.call(Method::GET, "/x", &[], None, writes);
    trail::follow(async {
        ask(false).await.unwrap();
        ask(true).await.unwrap();
        let error = ask(false).await.unwrap_err();
        assert!(matches!(error, SystemError::Spent { after, .. } if after == Duration::from_mins(5)), "{error}");
    })
    .await;
    assert_eq!(script.asked().len(), 3);
    let counted = counted.0.lock().unwrap();
    let errands: Vec<(bool, bool)> = counted.errands.iter().map(|errand| (errand.begins, errand.writes)).collect();
    assert_eq!(errands, [(true, false), (false, false), (false, true)]);
}

#[tokio::test]
async fn the_trail_keeps_what_the_last_answer_said_whether_it_did_what_was_asked_or_not() {
    let headers = [
        ("X-RateLimit-Limit-Daily", "200000"),
        ("x-ratelimit-daily-remaining", "199998"),
        ("X-RATELIMIT-INTERVAL-MILLISECONDS", "10000"),
        ("x-ratelimit-max", "100"),
        ("x-ratelimit-remaining", "98"),
    ];
    let counted = Counted::new(3);
    let first = told_with(200, &[], r#"{"traceId": "t-1"}"#);
    let told = [first, told_with(422, &headers, r#"{"message": "no", "traceId": "t-2"}"#)];
    let (caller, _) = asking(told, Arc::new(counted.clone()));
    let calls = async {
        caller.call(Method::GET, "/x", &[], None, false).await.unwrap();
        caller.call(Method::POST, "/x", &[], None, true).await.unwrap_err();
    };
    let ((), trail) = trail::follow(calls).await;
    let expected = trail::Trail {
        sent: Some(caller.offset().now()),
        trace: Some("t-2".to_owned()),
        burst_left: Some(98),
        day_left: Some(199_998),
    };
    assert_eq!(trail, expected);
    let seen = RateSeen {
        interval: Some(Duration::from_secs(10)),
        burst: Some(100),
        burst_left: Some(98),
        day: Some(200_000),
        day_left: Some(199_998),
        ..RateSeen::default()
    };
    assert_eq!(counted.0.lock().unwrap().learned, [RateSeen::default(), seen]);
    let ((), nothing) = trail::follow(async {}).await;
    assert_eq!(nothing, trail::Trail::default());
}

/// Found by simulation: a replica stored the intent of a create and stood still; it woke when another one had looked, found nothing
/// and made the contact, and made it once more.
#[tokio::test]
async fn what_was_decided_too_long_ago_is_not_written() {
    let (caller, script) = asking([told(200, json!({})), told(200, json!({}))], Arc::new(Counted::new(9)));
    let now = caller.offset().now();
    let ask = |writes| caller.call(Method::POST, "/x", &[], None, writes);
    let long_ago = Millis(now.0 - trail::PROMPT.as_millis() as i64 - 1);
    let (result, trail) = trail::carry_out(long_ago, ask(true)).await;
    assert!(matches!(result, Err(SystemError::Unavailable { .. })));
    assert_eq!((script.asked().len(), trail.sent), (0, None));
    trail::carry_out(long_ago, ask(false)).await.0.unwrap();
    trail::carry_out(now, ask(true)).await.0.unwrap();
    assert_eq!(script.asked().len(), 2);
}

/// A vendor that takes almost as long for each answer as a write may wait.
struct Slow(Script, Arc<ManualClock>);

#[async_trait::async_trait]
impl Transport for Slow {
    async fn send(&self, request: http::Request<Bytes>) -> Told {
        self.1.advance(trail::PROMPT * 4 / 5);
        self.0.send(request).await
    }
}

#[tokio::test]
async fn a_slow_vendor_makes_the_next_write_of_an_intent_no_later() {
    let clock = Arc::new(ManualClock::at(Millis::parse("2026-01-02T03:04:05Z").unwrap()));
    let transport = Arc::new(Slow(Script::new((0..5).map(|_| told(200, json!({})))), clock.clone()));
    let offset = Arc::new(ClockOffset::new(clock.clone()));
    let (credential, allowance) = (Arc::new(Renewing::default()), Arc::new(Counted::new(9)));
    let caller = Caller::new(System::Ghl, "http://vendor", transport, credential, offset, allowance);
    let ask = |writes| caller.call(Method::POST, "/x", &[], None, writes);
    let three_writes = async { [ask(true).await.is_ok(), ask(true).await.is_ok(), ask(true).await.is_ok()] };
    assert_eq!(trail::carry_out(clock.now(), three_writes).await.0, [true; 3]);
    let reads_first = async { [ask(false).await.is_ok(), ask(false).await.is_ok(), ask(true).await.is_ok()] };
    assert_eq!(trail::carry_out(clock.now(), reads_first).await.0, [true, true, false]);
}

#[rstest]
#[case::done([told(200, json!({}))].into(), true)]
#[case::refused([told(422, json!({}))].into(), true)]
#[case::asked_to_wait([told(429, json!({}))].into(), true)]
#[case::broken([told(502, json!({}))].into(), false)]
#[case::slow([told(408, json!({}))].into(), false)]
#[case::renewed([told(401, json!({})), told(404, json!({}))].into(), true)]
#[case::locked_out([told(401, json!({})), told(401, json!({}))].into(), false)]
#[case::not_there(vec![Err(TransportError::NotSent("refused".to_owned()))], false)]
#[case::silent(vec![Err(TransportError::NoAnswer("timed out".to_owned()))], false)]
#[tokio::test]
async fn an_answer_of_a_vendor_that_works_is_told_from_one_that_fails(#[case] told: Vec<Told>, #[case] well: bool) {
    let counted = Counted::new(9);
    let (caller, _) = asking(told, Arc::new(counted.clone()));
    let _ = caller.call(Method::GET, "/x", &[], None, false).await;
    assert_eq!(counted.0.lock().unwrap().ended, [well]);
}
