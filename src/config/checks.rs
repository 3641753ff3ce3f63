//! What the webhooks of each system may be proven by.

use std::collections::BTreeMap;

use http::HeaderName;

use super::{Config, Connection, Ghl, WorkspaceEntry};
use crate::model::System;
use crate::verify::{BodyRule, Check, Keys, SigningSecret, TokenDigest};

/// The checks of each system's route. A system that has none has no route; GHL has none without our app's id.
pub fn checks(config: &Config) -> BTreeMap<System, Vec<Check>> {
    let mut checks: BTreeMap<System, Vec<Check>> = BTreeMap::new();
    let rule = body_rule(&config.systems.ghl);
    if let Some(rule) = &rule {
        checks.entry(System::Ghl).or_default().extend(ghl_checks(config, rule));
    }
    for (name, connection) in &config.connections {
        if connection.system == System::Ghl && rule.is_none() {
            continue;
        }
        let rule = rule.clone().filter(|_| connection.system == System::Ghl);
        checks.entry(connection.system).or_default().extend(connection_checks(config, name, connection, rule.as_ref()));
    }
    for workspace in &config.workspaces {
        for (system, check) in extension_checks(workspace) {
            checks.entry(system).or_default().push(check);
        }
    }
    checks.retain(|_, list| !list.is_empty());
    checks
}

fn body_rule(ghl: &Ghl) -> Option<BodyRule> {
    ghl.app_id.clone().map(|app_id| BodyRule { app_id, max_age: ghl.max_age })
}

/// GHL signs for the app, which speaks for every workspace that has a location. Both schemes are one credential, so that
/// a delivery repeated under the other one is the same delivery.
fn ghl_checks(config: &Config, rule: &BodyRule) -> Vec<Check> {
    let has_location = |workspace: &&WorkspaceEntry| workspace.accounts.contains_key(&System::Ghl);
    let speaks_for = names(config.workspaces.iter().filter(has_location));
    let ghl = &config.systems.ghl;
    let schemes = [
        ("x-ghl-signature", Keys::Ed25519(ghl.ed25519_keys.clone()), None, ghl.ed25519_keys.is_empty()),
        ("x-wh-signature", Keys::RsaSha256(ghl.rsa_keys.clone()), Some(ghl.rsa_until), ghl.rsa_keys.is_empty()),
    ];
    let check = |(header, keys, until, _)| Check {
        credential: "app:ghl".to_owned(),
        speaks_for: speaks_for.clone(),
        extension: false,
        header: Some(HeaderName::from_static(header)),
        keys,
        until,
        rule: Some(rule.clone()),
    };
    schemes.into_iter().filter(|(.., none)| !none).map(check).collect()
}

/// A connection speaks for the workspaces that use it.
fn connection_checks(config: &Config, name: &str, connection: &Connection, rule: Option<&BodyRule>) -> Vec<Check> {
    let uses = |workspace: &&WorkspaceEntry| {
        workspace.accounts.get(&connection.system).is_some_and(|account| account.connection == name)
    };
    let speaks_for = names(config.workspaces.iter().filter(uses));
    let tokens = connection.webhook_tokens.iter().map(TokenDigest::of).collect::<Vec<_>>();
    let secrets = connection.hmac_secrets.iter().map(SigningSecret::text).collect::<Vec<_>>();
    let schemes = [
        (connection.webhook_header.clone().filter(|_| !tokens.is_empty()), Keys::StaticToken(tokens)),
        (connection.hmac_header.clone().filter(|_| !secrets.is_empty()), Keys::HmacSha256(secrets)),
    ];
    let check = |(header, keys): (Option<HeaderName>, Keys)| {
        Some(Check {
            credential: format!("connection:{name}"),
            speaks_for: speaks_for.clone(),
            extension: false,
            header: Some(header?),
            keys,
            until: None,
            rule: rule.cloned(),
        })
    };
    let pushes = pushed(name, connection, &speaks_for);
    schemes.into_iter().filter_map(check).chain(pushes).collect()
}

/// What TimeRex tells of one-time links that we watch. A credential of its own: that webhooks come is not to be told by it.
fn pushed(name: &str, connection: &Connection, speaks_for: &[String]) -> Option<Check> {
    let tokens = connection.push_tokens.iter().map(TokenDigest::of).collect::<Vec<_>>();
    (!tokens.is_empty()).then(|| Check {
        credential: format!("push:{name}"),
        speaks_for: speaks_for.to_vec(),
        extension: false,
        header: None,
        keys: Keys::BodyToken(tokens),
        until: None,
        rule: None,
    })
}

/// An extension speaks for its own workspace only.
fn extension_checks(workspace: &WorkspaceEntry) -> impl Iterator<Item = (System, Check)> {
    workspace.extensions.iter().map(|(system, extension)| {
        let secrets = extension.secrets.iter().filter_map(|secret| SigningSecret::standard(secret).ok()).collect();
        let check = Check {
            credential: format!("extension:{}:{system}", workspace.name),
            speaks_for: vec![workspace.name.clone()],
            extension: true,
            header: Some(HeaderName::from_static("webhook-signature")),
            keys: Keys::StandardWebhooks(secrets),
            until: None,
            rule: None,
        };
        (*system, check)
    })
}

fn names<'a>(workspaces: impl Iterator<Item = &'a WorkspaceEntry>) -> Vec<String> {
    workspaces.map(|workspace| workspace.name.clone()).collect()
}
