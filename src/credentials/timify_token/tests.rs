use std::collections::VecDeque;
use std::sync::Mutex as StdMutex;

use http::Response;
use rstest::rstest;

use super::*;
use crate::clock::ManualClock;
use crate::systems::TransportError;

const EXCHANGED: &[u8] = include_bytes!("../../../tests/fixtures/timify/assumed/timify_auth_token_response.json");

/// Answers with the tokens it was told, then with the documented one; keeps what it was asked.
#[derive(Default)]
struct Vendor {
    told: StdMutex<VecDeque<(u16, Value)>>,
    asked: StdMutex<Vec<(String, Value)>>,
}

impl Vendor {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }
}

#[async_trait]
impl Transport for Vendor {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.uri().host(), Some("api.example.test"));
        assert_eq!(request.method(), Method::POST);
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        tokio::task::yield_now().await;
        self.asked.lock().unwrap().push((request.uri().path().to_owned(), body));
        let (status, body) = match self.told.lock().unwrap().pop_front() {
            Some((0, _)) => return Err(TransportError::NoAnswer("silence".to_owned())),
            Some((status, body)) => (status, Bytes::from(body.to_string())),
            None => (200, Bytes::from_static(EXCHANGED)),
        };
        Ok(Response::builder().status(status).body(body).unwrap())
    }
}

fn credential(scheme: TokenScheme, told: &[(u16, Value)]) -> (TimifyToken, Arc<Vendor>, Arc<ManualClock>) {
    let vendor = Arc::new(Vendor { told: StdMutex::new(told.iter().cloned().collect()), ..Vendor::default() });
    let clock = Arc::new(ManualClock::at(Millis::parse("2026-01-02T03:04:05Z").unwrap()));
    let base_url = "https://api.example.test/".to_owned();
    let app = TimifyApp { base_url, app_id: "app".to_owned(), app_secret: Secret::new("hush"), scheme };
    (TimifyToken::new(app, vendor.clone(), clock.clone()), vendor, clock)
}

async fn signed(credential: &TimifyToken) -> String {
    let mut request = Request::new(Bytes::new());
    credential.sign(&mut request).await.unwrap();
    request.headers()[AUTHORIZATION].to_str().unwrap().to_owned()
}

async fn version(credential: &TimifyToken) -> Version {
    credential.sign(&mut Request::new(Bytes::new())).await.unwrap()
}

#[tokio::test]
async fn requests_at_the_same_moment_share_one_exchange() {
    let (credential, vendor, _) = credential(TokenScheme::Bearer, &[]);
    let (a, b) = tokio::join!(signed(&credential), signed(&credential));
    assert_eq!((a.as_str(), b.as_str()), ("Bearer JWT_ACCESS_TOKEN", "Bearer JWT_ACCESS_TOKEN"));
    let expected = ("/v1/auth/token".to_owned(), json!({ "appid": "app", "appsecret": "hush" }));
    assert_eq!(*vendor.asked.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn a_token_stands_raw_or_as_bearer() {
    assert_eq!(signed(&credential(TokenScheme::Raw, &[]).0).await, "JWT_ACCESS_TOKEN");
    assert_eq!(signed(&credential(TokenScheme::Bearer, &[]).0).await, "Bearer JWT_ACCESS_TOKEN");
}

/// How long a token is used, by what the vendor says of its life; the clock stands at 1767323045.
#[rstest]
#[case::three_quarters(json!({ "accessToken": "a", "expires": 3600 }), 2_700)]
#[case::a_minute_before_its_end(json!({ "accessToken": "a", "expires": 200 }), 140)]
#[case::short(json!({ "accessToken": "a", "expires": 40 }), 20)]
#[case::other_name(json!({ "access_token": "a", "expires_in": "3600" }), 2_700)]
#[case::camel(json!({ "token": "a", "expiresIn": 3600 }), 2_700)]
#[case::unsaid(json!({ "accessToken": "a" }), 450)]
#[case::instant(json!({ "accessToken": "a", "expires": 1_767_323_045 + 3_600 }), 2_700)]
#[case::instant_in_milliseconds(json!({ "accessToken": "a", "expires": (1_767_323_045_i64 + 3_600) * 1_000 }), 2_700)]
#[case::enveloped(json!({ "data": { "accessToken": "a", "expires": 3600 }, "status": 1 }), 2_700)]
#[tokio::test]
async fn a_token_is_renewed_before_its_end(#[case] answer: Value, #[case] seconds: u64) {
    let (credential, vendor, clock) = credential(TokenScheme::Raw, &[(200, answer)]);
    assert_eq!(signed(&credential).await, "a");
    clock.advance(Duration::from_secs(seconds - 1));
    signed(&credential).await;
    assert_eq!(vendor.asked().len(), 1);
    clock.advance(Duration::from_secs(1));
    signed(&credential).await;
    assert_eq!(vendor.asked().len(), 2);
}

#[rstest]
#[case::camel("refreshToken")]
#[case::snake("refresh_token")]
#[tokio::test]
async fn a_token_is_renewed_by_its_refresh_token(#[case] name: &str) {
    let mut first = json!({ "accessToken": "a", "expires": 3600 });
    first[name] = json!("r1");
    let second = json!({ "accessToken": "b", "refreshToken": "r2", "expires": 3600 });
    let (credential, vendor, clock) = credential(TokenScheme::Raw, &[(200, first), (200, second)]);
    for expected in ["a", "b", "JWT_ACCESS_TOKEN"] {
        assert_eq!(signed(&credential).await, expected);
        clock.advance(Duration::from_mins(50));
    }
    let asked = vendor.asked.lock().unwrap();
    let refresh =
        |token: &str| ("/v1/auth/refresh-token".to_owned(), json!({ "refreshToken": token, "refresh_token": token }));
    assert_eq!(asked[1..], [refresh("r1"), refresh("r2")], "the newest refresh token counts");
}

#[rstest]
#[case::refused(401, json!({}))]
#[case::unknown(404, json!({}))]
#[case::failed(500, json!({}))]
#[case::no_answer(0, json!({}))]
#[case::no_token_in_it(200, json!({ "status": 1 }))]
#[tokio::test]
async fn where_the_refresh_leads_nowhere_the_secret_is_exchanged_again(#[case] status: u16, #[case] body: Value) {
    let first = json!({ "accessToken": "a", "refreshToken": "r1", "expires": 3600 });
    let (credential, vendor, clock) = credential(TokenScheme::Raw, &[(200, first), (status, body)]);
    signed(&credential).await;
    clock.advance(Duration::from_hours(2));
    assert_eq!(signed(&credential).await, "JWT_ACCESS_TOKEN");
    assert_eq!(vendor.asked(), ["/v1/auth/token", "/v1/auth/refresh-token", "/v1/auth/token"]);
}

#[tokio::test]
async fn a_vendor_that_asks_to_wait_is_not_asked_in_another_way() {
    let first = json!({ "accessToken": "a", "refreshToken": "r1", "expires": 3600 });
    let (credential, vendor, clock) = credential(TokenScheme::Raw, &[(200, first), (429, json!({}))]);
    signed(&credential).await;
    clock.advance(Duration::from_hours(2));
    let waits = credential.sign(&mut Request::new(Bytes::new())).await.unwrap_err();
    assert!(matches!(waits, SystemError::Wait { status: 429, .. }));
    assert_eq!(vendor.asked().len(), 2);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_however_many_calls_it_was_refused_to() {
    let (credential, vendor, _) = credential(TokenScheme::Bearer, &[]);
    let first = version(&credential).await;
    assert!(credential.refused(first, "").await);
    let second = version(&credential).await;
    assert!(credential.refused(first, "").await, "another call that used the first one");
    assert_eq!(version(&credential).await, second);
    assert_eq!(vendor.asked().len(), 2);
}

#[tokio::test]
async fn an_app_that_is_not_let_in_does_not_ask_for_a_token_with_every_call() {
    let (credential, vendor, clock) = credential(TokenScheme::Bearer, &[]);
    let first = version(&credential).await;
    assert!(credential.refused(first, "").await);
    let second = version(&credential).await;
    assert!(!credential.refused(second, "").await, "a new one is refused as well");
    assert_eq!((version(&credential).await, vendor.asked().len()), (second, 2));
    clock.advance(Duration::from_mins(1));
    assert!(credential.refused(second, "").await, "it may have been let in since, and then out again");
}

#[test]
fn a_wrong_secret_is_a_refusal_of_our_credentials() {
    let refused = Answer::of(StatusCode::UNAUTHORIZED, b"").err();
    assert!(matches!(refused, Some(SystemError::Unauthorized { status: 401, .. })));
    let empty = Answer::of(StatusCode::OK, b"{}").unwrap().read(Millis(0)).err();
    assert!(matches!(empty, Some(SystemError::Garbled { .. })));
}
