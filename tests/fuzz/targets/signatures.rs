//! Webhooks from somebody who has none of the keys: headers and a body, of any system. None is ever believed.

use bytes::Bytes;
use lockstep::model::System;
use lockstep::verify::{RawWebhook, verify};

use super::ground::{GROUND, NOW, headers};

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
