//! Webhooks from somebody who has none of the keys: headers and a body, of any system. None is ever believed.

use bytes::Bytes;
use lockstep::model::System;
use lockstep::sandbox::StandIn;
use lockstep::verify::{RawWebhook, verify};

use super::ground::{GROUND, NOW, headers};

const BODY: &str = r#"{"type":"ContactUpdate","locationId":"L1","id":"c1","webhook_token":"no","timestamp":1}"#;

/// The first byte tells the system; then lines of headers, an empty line, the body.
pub fn forged(input: &[u8]) {
    let ground = &*GROUND;
    let Some((which, rest)) = input.split_first() else { return };
    let system = System::ALL[usize::from(*which) % System::ALL.len()];
    let end = rest.windows(2).position(|two| two == b"\n\n").unwrap_or(rest.len());
    let (head, body) = (String::from_utf8_lossy(&rest[..end]), rest.get(end + 2..).unwrap_or_default());
    let headers = headers(head.lines().filter_map(|line| line.split_once(':')));
    let raw = RawWebhook { system, workspace: None, headers, body: Bytes::copy_from_slice(body), received: NOW };
    let believed = verify(&ground.checks[&system], raw, NOW);
    assert!(believed.is_err(), "believed without a key: {believed:?}");
}

/// What each system sends, with a body that none of it was made for.
pub fn known() -> Vec<Vec<u8>> {
    let ground = &*GROUND;
    let account = &ground.settings.workspaces[0];
    let senders = [
        (0, StandIn::vendor(System::Ghl), &account.ghl_location),
        (1, StandIn::extension(System::Timify), &account.timify_company),
        (2, StandIn::extension(System::Timerex), &account.timerex_team),
    ];
    let mut known = Vec::new();
    for (which, from, account) in senders {
        let signed = ground.signer.headers(from, account, "delivery-1", NOW, b"another body");
        known.push(input(which, signed.iter().map(|(name, value)| format!("{name}: {value}"))));
    }
    for (which, line) in [(1, "timify-token: none"), (2, "x-timerex-authorization: none"), (2, "Authorization: Bearer")]
    {
        known.push(input(which, [line.to_owned()].into_iter()));
    }
    for line in ["webhook-id: x\nwebhook-timestamp: 1\nwebhook-signature: v1,AA== v1a,x", "x-wh-signature: N/A"] {
        known.extend((0..3).map(|which| input(which, [line.to_owned()].into_iter())));
    }
    known
}

fn input(which: u8, lines: impl Iterator<Item = String>) -> Vec<u8> {
    let lines: Vec<String> = lines.collect();
    [&[which], format!("{}\n\n{BODY}", lines.join("\n")).as_bytes()].concat()
}
