//! Keys are made at run time: there are none in the repository.

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use rstest::rstest;
use sha2::Sha256;

use super::*;
use crate::secret::Secret;

const NOW: Millis = Millis(1_800_000_000_000);
const BODY: &[u8] = br#"{"appId":"ours","type":"ContactCreate","timestamp":"2027-01-15T08:00:00.000Z"}"#;

struct Signers {
    ed25519: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

fn signers() -> &'static Signers {
    static SIGNERS: OnceLock<Signers> = OnceLock::new();
    SIGNERS.get_or_init(|| Signers {
        ed25519: Ed25519KeyPair::generate().unwrap(),
        rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
    })
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

fn ed25519_pem(pair: &Ed25519KeyPair) -> String {
    pem(pair.public_key().as_der().unwrap().as_ref())
}

fn check(header: &'static str, keys: Keys) -> Check {
    Check {
        credential: format!("test:{header}"),
        speaks_for: vec!["main".to_owned()],
        extension: false,
        header: Some(HeaderName::from_static(header)),
        keys,
        until: None,
        rule: None,
    }
}

/// The schemes that have a header.
const WITH_HEADER: &[Scheme] =
    &[Scheme::Ed25519, Scheme::RsaSha256, Scheme::StaticToken, Scheme::StandardWebhooks, Scheme::HmacSha256];

/// One check of each of them.
fn all_checks() -> Vec<Check> {
    let secret = |text| SigningSecret::text(&Secret::new(text));
    let key = PublicKey::ed25519(&ed25519_pem(&signers().ed25519)).unwrap();
    let rsa = PublicKey::rsa(&pem(signers().rsa.public_key().as_der().unwrap().as_ref())).unwrap();
    vec![
        check("x-signature", Keys::HmacSha256(vec![secret("older"), secret("gateway")])),
        check("webhook-signature", Keys::StandardWebhooks(vec![secret("older"), secret("standard")])),
        check("x-token", Keys::StaticToken(vec![TokenDigest::of(&Secret::new("token"))])),
        check("x-wh-signature", Keys::RsaSha256(vec![rsa])),
        check("x-ghl-signature", Keys::Ed25519(vec![key])),
    ]
}

fn code(secret: &str, message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn signature(scheme: Scheme, body: &[u8]) -> Vec<u8> {
    match scheme {
        Scheme::Ed25519 => signers().ed25519.sign(body).as_ref().to_vec(),
        Scheme::RsaSha256 => {
            let mut signature = vec![0; signers().rsa.public_modulus_len()];
            signers().rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body, &mut signature).unwrap();
            signature
        }
        Scheme::StaticToken => b"token".to_vec(),
        Scheme::StandardWebhooks => code("standard", &[b"msg_1.1800000000.", body].concat()),
        Scheme::HmacSha256 => code("gateway", body),
        Scheme::BodyToken => unreachable!("it has no header"),
    }
}

fn raw(scheme: Scheme, body: &[u8], signature: &[u8]) -> RawWebhook {
    let mut headers = HeaderMap::new();
    let (name, value) = match scheme {
        Scheme::Ed25519 => ("x-ghl-signature", STANDARD.encode(signature).into_bytes()),
        Scheme::RsaSha256 => ("x-wh-signature", STANDARD.encode(signature).into_bytes()),
        Scheme::StaticToken => ("x-token", signature.to_vec()),
        Scheme::StandardWebhooks => ("webhook-signature", format!("v1,{}", STANDARD.encode(signature)).into_bytes()),
        Scheme::HmacSha256 => ("x-signature", format!("sha256={}", hex::encode(signature)).into_bytes()),
        Scheme::BodyToken => unreachable!("it has no header"),
    };
    headers.insert(name, HeaderValue::from_bytes(&value).unwrap_or(HeaderValue::from_static("unsendable")));
    if scheme == Scheme::StandardWebhooks {
        headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
        headers.insert("webhook-timestamp", HeaderValue::from_static("1800000000"));
    }
    let body = Bytes::copy_from_slice(body);
    RawWebhook { system: System::Ghl, workspace: None, headers, body, received: NOW }
}

fn good(scheme: Scheme) -> RawWebhook {
    raw(scheme, BODY, &signature(scheme, BODY))
}

#[rstest]
#[case(Scheme::Ed25519)]
#[case(Scheme::RsaSha256)]
#[case(Scheme::StaticToken)]
#[case(Scheme::StandardWebhooks)]
#[case(Scheme::HmacSha256)]
fn each_scheme_accepts_what_its_key_signed_and_names_its_credential(#[case] scheme: Scheme) {
    let checks = all_checks();
    let verified = verify(&checks, good(scheme), NOW).unwrap();
    let own = checks.iter().find(|check| check.scheme() == scheme).unwrap();
    assert_eq!(verified.credential(), own.credential);
    assert_eq!(verified.speaks_for(), ["main"]);
    assert_eq!(verified.delivery(), (scheme == Scheme::StandardWebhooks).then_some("msg_1"));
}

#[rstest]
#[case(Scheme::Ed25519)]
#[case(Scheme::RsaSha256)]
#[case(Scheme::StaticToken)]
#[case(Scheme::StandardWebhooks)]
#[case(Scheme::HmacSha256)]
fn an_empty_or_na_header_counts_as_missing(#[case] scheme: Scheme) {
    let checks = all_checks();
    let header = checks.iter().find(|check| check.scheme() == scheme).unwrap().header.clone().unwrap();
    for nothing in ["", " ", "N/A", "n/a"] {
        let mut webhook = good(scheme);
        webhook.headers.insert(header.clone(), HeaderValue::from_static(nothing));
        assert_eq!(verify(&checks, webhook, NOW).unwrap_err(), Refusal::Missing, "{nothing:?}");
    }
    let mut webhook = good(scheme);
    webhook.headers.remove(&header);
    assert_eq!(verify(&checks, webhook, NOW).unwrap_err(), Refusal::Missing);
}

#[test]
fn the_first_scheme_with_a_header_decides_without_falling_back() {
    let mut webhook = good(Scheme::RsaSha256);
    webhook.headers.insert("x-ghl-signature", HeaderValue::from_static("AAAA"));
    assert_eq!(verify(&all_checks(), webhook, NOW).unwrap_err(), Refusal::Bad);
    let mut webhook = good(Scheme::RsaSha256);
    webhook.headers.insert("x-ghl-signature", HeaderValue::from_static("N/A"));
    assert_eq!(verify(&all_checks(), webhook, NOW).unwrap().credential(), "test:x-wh-signature");
}

#[test]
fn a_scheme_that_has_ended_proves_nothing() {
    let mut checks = all_checks();
    checks[3].until = Some(NOW);
    let just_before = NOW - Duration::from_millis(1);
    assert_eq!(verify(&checks, good(Scheme::RsaSha256), just_before).unwrap().credential(), "test:x-wh-signature");
    for moment in [NOW, NOW + Duration::from_hours(1)] {
        assert_eq!(verify(&checks, good(Scheme::RsaSha256), moment).unwrap_err(), Refusal::Ended);
    }
    // GHL's word for unsigned beside it makes no difference; a newer signature decides as if it were alone.
    let mut webhook = good(Scheme::RsaSha256);
    webhook.headers.insert("x-ghl-signature", HeaderValue::from_static("N/A"));
    assert!(verify(&checks, webhook.clone(), just_before).is_ok());
    assert_eq!(verify(&checks, webhook.clone(), NOW).unwrap_err(), Refusal::Ended);
    let newer = good(Scheme::Ed25519).headers["x-ghl-signature"].clone();
    webhook.headers.insert("x-ghl-signature", newer);
    assert_eq!(verify(&checks, webhook.clone(), NOW).unwrap().credential(), "test:x-ghl-signature");
    // Nor does one that is wrong fall back, before or after.
    webhook.headers.insert("x-ghl-signature", HeaderValue::from_static("AAAA"));
    assert_eq!(verify(&checks, webhook.clone(), just_before).unwrap_err(), Refusal::Bad);
    assert_eq!(verify(&checks, webhook, NOW).unwrap_err(), Refusal::Bad);
}

#[test]
fn any_listed_key_of_the_scheme_may_pass() {
    let other = PublicKey::ed25519(&ed25519_pem(&Ed25519KeyPair::generate().unwrap())).unwrap();
    let mut checks = all_checks();
    let Keys::Ed25519(keys) = &mut checks[4].keys else { unreachable!() };
    keys.insert(0, other);
    assert!(verify(&checks, good(Scheme::Ed25519), NOW).is_ok());
    let Keys::Ed25519(keys) = &mut checks[4].keys else { unreachable!() };
    keys.truncate(1);
    assert_eq!(verify(&checks, good(Scheme::Ed25519), NOW).unwrap_err(), Refusal::Bad);
}

#[test]
fn a_repeated_signature_header_is_not_believed() {
    let mut webhook = good(Scheme::StaticToken);
    webhook.headers.append("x-token", HeaderValue::from_static("token"));
    assert_eq!(verify(&all_checks(), webhook, NOW).unwrap_err(), Refusal::Bad);
}

#[test]
fn standard_webhooks_takes_several_signatures_and_five_minutes_either_way() {
    let mut webhook = good(Scheme::StandardWebhooks);
    let own = webhook.headers["webhook-signature"].to_str().unwrap().to_owned();
    let several = format!("v1,AAAA v1a,whatever {own}");
    webhook.headers.insert("webhook-signature", HeaderValue::from_str(&several).unwrap());
    assert!(verify(&all_checks(), webhook.clone(), NOW).is_ok());
    assert!(verify(&all_checks(), webhook.clone(), NOW + TOLERANCE).is_ok());
    assert!(verify(&all_checks(), webhook.clone(), NOW - TOLERANCE).is_ok());
    let second = Duration::from_secs(1);
    for moment in [NOW + TOLERANCE + second, NOW - TOLERANCE - second] {
        assert_eq!(verify(&all_checks(), webhook.clone(), moment).unwrap_err(), Refusal::TooOld);
    }
}

#[test]
fn standard_webhooks_without_id_or_timestamp_is_refused() {
    for header in ["webhook-id", "webhook-timestamp"] {
        let mut webhook = good(Scheme::StandardWebhooks);
        webhook.headers.remove(header);
        assert_eq!(verify(&all_checks(), webhook, NOW).unwrap_err(), Refusal::Missing);
        let mut webhook = good(Scheme::StandardWebhooks);
        webhook.headers.insert(header, HeaderValue::from_static("1800000001"));
        assert_eq!(verify(&all_checks(), webhook, NOW).unwrap_err(), Refusal::Bad);
    }
}

#[test]
fn a_gateway_may_send_base64_or_bare_hex() {
    let code = signature(Scheme::HmacSha256, BODY);
    for text in [STANDARD.encode(&code), hex::encode(&code), format!("sha256={}", STANDARD.encode(&code))] {
        let mut webhook = good(Scheme::HmacSha256);
        webhook.headers.insert("x-signature", HeaderValue::from_str(&text).unwrap());
        assert!(verify(&all_checks(), webhook, NOW).is_ok(), "{text}");
    }
}

#[rstest]
#[case::ours("{\"appId\":\"ours\",\"timestamp\":\"2027-01-15T07:00:00Z\"}", None)]
#[case::foreign("{\"appId\":\"theirs\",\"timestamp\":\"2027-01-15T07:00:00Z\"}", Some(Refusal::ForeignApp))]
#[case::none("{\"timestamp\":\"2027-01-15T07:00:00Z\"}", Some(Refusal::ForeignApp))]
#[case::no_object("[1]", Some(Refusal::ForeignApp))]
#[case::no_text("{\"appId\":7}", Some(Refusal::ForeignApp))]
#[case::too_old("{\"appId\":\"ours\",\"timestamp\":\"2027-01-01T07:00:00Z\"}", Some(Refusal::TooOld))]
#[case::no_time("{\"appId\":\"ours\"}", Some(Refusal::TooOld))]
#[case::no_json("{\"appId\":\"ou", None)]
fn the_body_must_name_our_app_and_be_young_enough(#[case] body: &str, #[case] refusal: Option<Refusal>) {
    let mut checks = all_checks();
    checks[4].rule = Some(BodyRule { app_id: "ours".to_owned(), max_age: Some(Duration::from_hours(96)) });
    let webhook = raw(Scheme::Ed25519, body.as_bytes(), &signature(Scheme::Ed25519, body.as_bytes()));
    assert_eq!(verify(&checks, webhook, NOW).err(), refusal);
}

#[rstest]
#[case(true)]
#[case(false)]
fn what_an_extension_signed_is_told_apart(#[case] extension: bool) {
    let mut checks = all_checks();
    checks[1].extension = extension;
    assert_eq!(verify(&checks, good(Scheme::StandardWebhooks), NOW).unwrap().is_extension(), extension);
}

#[test]
fn keys_are_equal_if_what_they_hold_is_and_show_no_secret() {
    let [one, other] = [(); 2].map(|()| ed25519_pem(&Ed25519KeyPair::generate().unwrap()));
    let key = |pem: &str| PublicKey::ed25519(pem).unwrap();
    assert!(key(&one) == key(&one) && key(&one) != key(&other));
    assert!(
        format!("{:?}", key(&one)).starts_with("key ") && format!("{:?}", key(&one)) != format!("{:?}", key(&other))
    );
    let secret = |text: &str| SigningSecret::text(&Secret::new(text));
    assert!(secret("one") == secret("one") && secret("one") != secret("two"));
    assert_eq!(format!("{:?} {:?}", secret("one"), TokenDigest::of(&Secret::new("one"))), "[secret] [secret]");
}

#[test]
fn no_check_proves_nothing() {
    assert_eq!(verify(&[], good(Scheme::Ed25519), NOW).unwrap_err(), Refusal::Missing);
}

#[test]
fn keys_of_another_kind_are_refused_when_they_are_read() {
    let ed25519 = ed25519_pem(&signers().ed25519);
    let rsa = pem(signers().rsa.public_key().as_der().unwrap().as_ref());
    assert_eq!(PublicKey::rsa(&ed25519).unwrap_err(), BadKey::Kind);
    assert_eq!(PublicKey::ed25519(&rsa).unwrap_err(), BadKey::Kind);
    assert_eq!(PublicKey::ed25519("MCowBQ").unwrap_err(), BadKey::Pem);
    assert_eq!(SigningSecret::standard(&Secret::new("whsec_***")).unwrap_err(), BadKey::Secret);
}

fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    let bit = at % (flipped.len() * 8);
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

proptest! {
    #[test]
    fn any_flipped_bit_of_body_or_signature_is_refused(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<usize>(),
        which in 0..WITH_HEADER.len(),
    ) {
        let (checks, scheme) = (all_checks(), WITH_HEADER[which]);
        let good = signature(scheme, &body);
        prop_assert!(verify(&checks, raw(scheme, &body, &good), NOW).is_ok());
        prop_assert!(verify(&checks, raw(scheme, &body, &flip(&good, at)), NOW).is_err());
        // A static token does not cover the body.
        if scheme != Scheme::StaticToken {
            prop_assert!(verify(&checks, raw(scheme, &flip(&body, at), &good), NOW).is_err());
        }
    }
}

const PUSH: &str = include_str!("../../tests/fixtures/timerex/push_one_time_url_confirmed.json");

/// The checks of a route on which pushes come beside webhooks with a token in a header.
fn push_checks() -> Vec<Check> {
    let tokens = ["older-channel-token", "my-channel-token"].map(|token| TokenDigest::of(&Secret::new(token)));
    let push = Check { header: None, ..check("push", Keys::BodyToken(tokens.to_vec())) };
    vec![push, check("x-token", Keys::StaticToken(vec![TokenDigest::of(&Secret::new("token"))]))]
}

fn push(headers: &[(&'static str, &'static str)], body: &str) -> Result<VerifiedWebhook, Refusal> {
    let list = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let (headers, body) = (list.collect(), Bytes::copy_from_slice(body.as_bytes()));
    let raw = RawWebhook { system: System::Timerex, workspace: None, headers, body, received: NOW };
    verify(&push_checks(), raw, NOW)
}

#[test]
fn a_push_is_proven_by_the_token_in_its_body_which_is_then_taken_out() {
    let verified = push(&[], PUSH).unwrap();
    assert_eq!((verified.credential(), verified.speaks_for()), ("test:push", ["main".to_owned()].as_slice()));
    let kept = std::str::from_utf8(&verified.raw().body).unwrap();
    assert!(!kept.contains("my-channel-token") && kept.contains("7777eeee8888ffff9999"), "{kept}");
}

#[test]
fn a_token_that_is_listed_twice_proves_a_push_all_the_same() {
    let tokens = [(); 2].map(|()| TokenDigest::of(&Secret::new("my-channel-token")));
    let twice = Check { header: None, ..check("push", Keys::BodyToken(tokens.to_vec())) };
    let (headers, body) = (HeaderMap::new(), Bytes::from_static(PUSH.as_bytes()));
    let raw = RawWebhook { system: System::Timerex, workspace: None, headers, body, received: NOW };
    assert!(verify(&[twice], raw, NOW).is_ok());
}

#[rstest]
#[case::wrong(&PUSH.replace("my-channel-token", "my-channel-tokem"), Refusal::Bad)]
#[case::empty(&PUSH.replace("my-channel-token", ""), Refusal::Missing)]
#[case::a_key_too_many(&PUSH.replace("\"status\"", "\"webhook_type\": \"event_confirmed\", \"status\""), Refusal::Missing)]
#[case::a_key_too_many_of_its_link(&PUSH.replace("\"url\"", "\"more\": \"x\", \"url\""), Refusal::Missing)]
#[case::another_body(r#"{"token": "my-channel-token", "webhook_type": "event_confirmed"}"#, Refusal::Missing)]
#[case::no_text(&PUSH.replace("\"my-channel-token\"", "[\"my-channel-token\"]"), Refusal::Missing)]
#[case::no_text_in_its_link(&PUSH.replace("\"7777eeee8888ffff9999\"", "7777"), Refusal::Missing)]
#[case::no_text_of_what_became_of_it(&PUSH.replace("\"confirmed\"", "1"), Refusal::Missing)]
#[case::not_json("my-channel-token", Refusal::Missing)]
fn a_body_that_is_no_push_of_ours_is_refused(#[case] body: &str, #[case] refusal: Refusal) {
    assert_eq!(push(&[], body).unwrap_err(), refusal);
}

#[test]
fn a_header_decides_before_the_body_is_asked() {
    assert_eq!(push(&[("x-token", "wrong")], PUSH).unwrap_err(), Refusal::Bad);
    let by_header = push(&[("x-token", "token")], PUSH).unwrap();
    assert_eq!(by_header.credential(), "test:x-token");
    assert!(!by_header.raw().body.windows(10).any(|window| window == b"my-channel"), "it is taken out all the same");
}
