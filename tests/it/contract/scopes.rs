//! Our table of operations and our defaults against the documents: scopes, and the `Version` header of each family.

use std::collections::BTreeSet;
use std::path::Path;

use lockstep::config::{self, Config};
use lockstep::credentials::seal::new_key;
use lockstep::systems::ghl::{Family, OPERATIONS};

use super::lies;
use super::openapi::{promises, version_headers};

/// What calls besides those of the table need: listing and minting for an agency's locations, and uninstalling.
const OAUTH_CALLS: &[(&str, &str)] = &[
    ("POST", "/oauth/token"),
    ("POST", "/oauth/locationToken"),
    ("GET", "/oauth/installedLocations"),
    ("DELETE", "/marketplace/app/{appId}/installations"),
];

/// The configuration's defaults, with an app as an OAuth client.
fn defaults() -> config::Ghl {
    let text = format!(
        "[server]\npublic_url = \"https://lockstep.test\"\n[seal]\nkeys = [\"{}\"]\n\
         [systems.ghl.oauth]\nclient_id = \"app-suffix\"\nclient_secret = \"secret\"\n",
        new_key().unwrap()
    );
    Config::read("lockstep.toml", &text, Path::new("."), []).unwrap().systems.ghl
}

/// The scopes that the documents name for an operation; none may be named by any.
fn documented(method: &str, path: &str) -> BTreeSet<String> {
    promises(method, path).unwrap_or_else(|| panic!("{method} {path} is in no document")).0.into_iter().collect()
}

#[test]
fn each_operation_needs_the_documented_scope() {
    for operation in OPERATIONS {
        let (method, ours) = (operation.method(), BTreeSet::from([operation.scope.to_owned()]));
        let line = format!("{method} {}", operation.path);
        let unlisted = lies::UNLISTED_SCOPES.iter().find(|lie| lie.0 == line).map(|lie| lie.1);
        let named = documented(method.as_str(), operation.path);
        assert_eq!(named.is_empty(), unlisted.is_some(), "{line}: the document names {named:?}");
        assert_eq!(ours, unlisted.map_or(named, |scope| [scope.to_owned()].into()), "{line}");
    }
}

#[test]
fn an_app_asks_by_default_for_what_our_calls_need_and_for_no_more() {
    let asked = defaults().oauth.unwrap().scopes;
    let table = OPERATIONS.iter().map(|operation| operation.scope.to_owned());
    let needed: BTreeSet<String> =
        table.chain(OAUTH_CALLS.iter().flat_map(|(method, path)| documented(method, path))).collect();
    assert_eq!(asked.iter().cloned().collect::<BTreeSet<_>>(), needed);
    assert_eq!(asked.len(), needed.len(), "each once");
    for own in ["oauth.readonly", "oauth.write"] {
        assert!(needed.contains(own), "{own}");
    }
}

#[test]
fn each_family_is_sent_with_the_documented_version() {
    let ghl = defaults();
    let sent = |family| match family {
        Family::Contacts => &ghl.contacts_version,
        Family::Calendars => &ghl.calendars_version,
        Family::Locations => &ghl.locations_version,
        Family::Businesses => &ghl.businesses_version,
    };
    for operation in OPERATIONS {
        let named = version_headers(operation.method().as_str(), operation.path);
        assert_eq!(named, [sent(operation.family).clone()], "{}", operation.name);
    }
    let oauth = &ghl.oauth.as_ref().unwrap().version;
    for (method, path) in OAUTH_CALLS {
        let named = version_headers(method, path);
        // Tokens are asked for without one: the document has no header there.
        assert_eq!(named, if *path == "/oauth/token" { vec![] } else { vec![oauth.clone()] }, "{method} {path}");
    }
}
