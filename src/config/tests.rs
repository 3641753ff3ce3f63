use rstest::rstest;

use super::*;
use crate::model::{Field, FieldRule, Kind, Mode, Policy, System};
use crate::verify::Scheme;

const EXAMPLE: &str = include_str!("../../config.example.toml");

fn read(text: &str) -> Result<Config, Mistakes> {
    read_with(text, &[])
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Config::read("lockstep.toml", text, Path::new("."), variables)
}

/// The example with its examples switched on.
fn whole_example() -> String {
    let on = |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned();
    EXAMPLE.lines().map(|line| on(line) + "\n").collect()
}

/// A text without one of its tables.
fn without_table(text: &str, table: &str) -> String {
    let at = text.find(&format!("\n[{table}]")).unwrap();
    let length = text[at + 2..].find("\n[").map_or(text.len() - at, |length| length + 2);
    text[..at].to_owned() + &text[at + length..]
}

/// The mistakes of the whole example after one replacement, as `line: key: text`, without the name of the file.
fn mistakes_after(old: &str, new: &str) -> Vec<String> {
    let text = whole_example();
    assert!(text.contains(old), "{old}");
    let mistakes = read(&text.replacen(old, new, 1)).unwrap_err();
    mistakes.0.iter().map(|mistake| mistake.to_string().replace("lockstep.toml:", "")).collect()
}

fn without_places(mut config: Config) -> Config {
    config.shown.clear();
    config
}

#[test]
fn the_example_as_it_stands_is_the_defaults() {
    let (example, default) = (read(EXAMPLE).unwrap(), read("").unwrap());
    assert_eq!(without_places(example), without_places(default));
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let whole = read(&whole_example()).unwrap();
    let left_out: Vec<_> = whole.shown().iter().filter(|shown| shown.source == Source::Default).collect();
    assert!(left_out.is_empty(), "{left_out:?}");
    let example = &whole.workspaces()[0].policy;
    assert_eq!(*example, Policy { region: Some("JP".to_owned()), ..Policy::default() });
}

#[test]
fn the_environment_is_laid_over_the_file() {
    let variables = [
        ("LOCKSTEP_SERVER__PUBLIC", "127.0.0.1:9"),
        ("LOCKSTEP_DISPATCH__LANES", "3"),
        ("LOCKSTEP_WORKSPACES__0__MODE", "live"),
        ("LOCKSTEP_CONNECTIONS__BOOKINGS__WEBHOOK_TOKENS", "one, two"),
        ("LOCKSTEP_LOG", "no key: it has no parts"),
        ("HOME", "/"),
    ];
    let config = read_with(&whole_example(), &variables).unwrap();
    assert_eq!(config.server.public.port(), 9);
    assert_eq!(config.dispatch.limits.lanes, 3);
    assert_eq!(config.workspaces[0].policy.limits.lanes, 3);
    assert_eq!(config.workspaces[0].mode, Some(Mode::Live));
    assert_eq!(config.connections["bookings"].webhook_tokens.len(), 2);
    let mistakes = read_with("", &[("LOCKSTEP_SERVER__PORT", "1"), ("LOCKSTEP_OPS__TOKEN", " ")]).unwrap_err();
    let expected = "LOCKSTEP_SERVER__PORT: server.port: unknown key\nLOCKSTEP_OPS__TOKEN: ops.token: is empty";
    assert_eq!(mistakes.to_string(), expected);
}

#[test]
fn a_whole_workspace_can_come_from_the_environment() {
    let variables = [
        ("LOCKSTEP_CONNECTIONS__CRM__SYSTEM", "ghl"),
        ("LOCKSTEP_WORKSPACES__0__NAME", "main"),
        ("LOCKSTEP_WORKSPACES__0__GHL__LOCATION", "loc"),
        ("LOCKSTEP_WORKSPACES__0__GHL__CONNECTION", "crm"),
    ];
    let workspaces = read_with("", &variables).unwrap().workspaces();
    assert_eq!(workspaces[0].accounts[&System::Ghl], "loc");
}

#[test]
fn a_secret_may_come_from_a_file_and_never_shows() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "from-a-file\n").unwrap();
    fs::write(folder.path().join("lockstep.toml"), "[ops]\ntoken_file = \"token\"\n").unwrap();
    let load = |variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Config::load(&folder.path().join("lockstep.toml"), variables.collect::<Vec<_>>())
    };
    let config = load(&[]).unwrap();
    assert_eq!(config.ops.token.as_ref().unwrap().expose(), "from-a-file");
    assert!(!config.redacted().contains("from-a-file") && !format!("{config:?}").contains("from-a-file"));
    assert!(config.redacted().contains("ops.token = \"[secret]\"    # line 2"));
    let over = load(&[("LOCKSTEP_OPS__TOKEN", "from-the-environment")]).unwrap();
    assert_eq!(over.ops.token.unwrap().expose(), "from-the-environment");
    fs::remove_file(folder.path().join("token")).unwrap();
    assert!(load(&[]).unwrap_err().to_string().contains("lockstep.toml:2: ops.token_file: cannot read"));
}

#[test]
fn all_mistakes_are_found_at_once_in_the_order_of_their_lines() {
    let text =
        "[server]\npublic = 8080\nprot = 1\n[store]\nurl = \"mysql://x\"\n[dispatch]\nlease = \"soon\"\nlanes = 0\n";
    let found = read(text).unwrap_err().to_string();
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 5, "{found}");
    assert_eq!(lines[0], "lockstep.toml:2: server.public: expected an address and port such as \"127.0.0.1:8080\"");
    assert_eq!(lines[1], "lockstep.toml:3: server.prot: unknown key");
    assert_eq!(lines[2], "lockstep.toml:5: store.url: is neither sqlite://PATH nor postgres://HOST/DATABASE");
    assert!(lines[3].starts_with("lockstep.toml:7: dispatch.lease: expected a time"));
    assert_eq!(lines[4], "lockstep.toml:8: dispatch.lanes: must be a number of at least 1");
}

#[test]
fn mistakes_of_form_name_their_line() {
    let mistakes = read("[server]\npublic = \n[store\n").unwrap_err();
    assert_eq!(mistakes.0[0].source, Source::Line(2));
    let twice = read("[server]\nops = \"a\"\nops = \"b\"\n").unwrap_err();
    assert_eq!(twice.0[0].source, Source::Line(3));
}

#[rstest]
#[case::unknown_connection("connection = \"crm\"", "connection = \"cmr\"", "workspaces[0].ghl.connection: there is no")]
#[case::wrong_system(
    "connection = \"bookings\"",
    "connection = \"crm\"",
    "workspaces[0].timify.connection: [connections.crm] is for ghl, not for timify"
)]
#[case::no_connection("connection = \"bookings\"\n", "\n", "workspaces[0].timify.connection: is missing")]
#[case::unknown_system(
    "system = \"timify\"",
    "system = \"timfy\"",
    "connections.bookings.system: expected one of \"ghl\""
)]
#[case::no_ghl_calendar("ghl = \"CVokAlI8fgw4WYWoCtQz\"\n", "\n", "workspaces[0].calendars[0].ghl: is missing")]
#[case::bad_pem("MCowBQYDK2VwAyEAi2HR", "MCowBQ", "systems.ghl.ed25519_keys: key 1: not a")]
#[case::bad_url("url = \"https://flows", "url = \"flows", "workspaces[0].extensions.timify.url: expected an address")]
#[case::bad_whsec("whsec_MDAwM", "whsec_?", "workspaces[0].extensions.timify.secrets: secret 1: not a Standard")]
#[case::bad_policy("secret_links = \"drop\"", "secret_links = \"hide\"", "store.secret_links: expected one of")]
#[case::forgets_at_once("history = \"400d\"", "history = \"1h\"", "retention.history: must be at least \"1d\"")]
#[case::outlives_its_change(
    "bodies = \"30d\"",
    "bodies = \"500d\"",
    "retention.bodies: are kept no longer than `history`"
)]
#[case::bad_seal("\"AAAAAAAA", "\"AAAA", "seal.keys: key 1 is not base64 of 32 bytes")]
#[case::bad_region("\"JP\"", "\"jp\"", "workspaces[0].region: expected two capital letters")]
#[case::bad_header("\"x-lockstep-token\"", "\"x lockstep\"", "connections.bookings.webhook_header: expected the name")]
#[case::no_header("webhook_header = \"x-lockstep-token\"\n", "\n", "connections.bookings.webhook_header: is missing")]
#[case::half_a_login("app_secret = ", "hmac_secret = ", "connections.bookings.app_secret: is missing")]
#[case::foreign_key("api_key", "token", "connections.scheduling.token: unknown key")]
#[case::precedence(
    "\"ghl\", \"timify\", \"timerex\"",
    "\"ghl\", \"ghl\"",
    "workspaces[0].policy.precedence: must name"
)]
#[case::bad_word("contact = \"unlink\"", "contact = \"drop\"", "workspaces[0].on_delete.contact: expected one of")]
#[case::bad_rule("phone = \"newest\"", "phone = \"latest\"", "policies.contact.phone: expected one of \"newest\"")]
#[case::senseless_rule(
    "completed = \"newest\"",
    "completed = \"append\"",
    "policies.task.completed: `append` makes no"
)]
#[case::no_list("country = \"newest\"", "country = \"union\"", "workspaces[0].policies.contact.country: `union` makes")]
#[case::unknown_field("due = \"newest\"", "do = \"newest\"", "workspaces[0].policies.task.do: unknown key")]
#[case::custom_task("due = \"newest\"", "\"custom:x\" = \"hold\"", "policies.task.custom:x: is no field of a task")]
#[case::bad_name("name = \"main\"", "name = \"a/b\"", "workspaces[0].name: a name has")]
#[case::one_listener("127.0.0.1:8081", "0.0.0.0:8080", "server.ops: is the same address")]
#[case::one_token(
    "timerex-security-token\"",
    "again\", \"again\"",
    "connections.scheduling.webhook_tokens: connections"
)]
fn each_mistake_names_line_and_key(#[case] old: &str, #[case] new: &str, #[case] expected: &str) {
    let mistakes = mistakes_after(old, new);
    let found = mistakes.iter().find(|mistake| mistake.contains(expected));
    let found = found.unwrap_or_else(|| panic!("{expected}: {mistakes:#?}"));
    let line: usize = found.split(':').next().unwrap().parse().unwrap();
    // The line is the changed one, or, where a key is missing, one of its table.
    let text = whole_example();
    let changed = text[..text.find(old).unwrap()].lines().count().max(1);
    assert!(line.abs_diff(changed) < 20, "{found} is not near line {changed}");
}

#[test]
fn a_gateway_for_ghl_needs_our_app_id_to_tell_apps_apart() {
    let without = whole_example().replace("app_id = \"65f0c0ffee00000000000000\"\n", "\n");
    assert!(read(&without).is_ok(), "the OAuth client names the app too");
    let mistakes: Vec<String> =
        read(&without_table(&without, "systems.ghl.oauth")).unwrap_err().0.iter().map(ToString::to_string).collect();
    assert_eq!(mistakes.len(), 1);
    let text = "connections.crm.hmac_secrets: webhooks of GHL are accepted only where systems.ghl.app_id is set";
    assert!(mistakes[0].ends_with(text), "{}", mistakes[0]);
}

#[test]
fn oauth_needs_an_address_to_come_back_to_keys_to_seal_with_and_an_app_of_the_same_name() {
    let blamed =
        |mistakes: Vec<String>, text: &str| assert!(mistakes.iter().any(|one| one.contains(text)), "{mistakes:?}");
    blamed(mistakes_after("public_url = \"https://lockstep.example.com\"", ""), "needs server.public_url");
    blamed(mistakes_after("keys = [\"AAAA", "#keys = [\"AAAA"), "needs [seal] keys");
    blamed(mistakes_after("app_id = \"65f0c0ffee00000000000000\"", "app_id = \"other\""), "is another app than");
    blamed(mistakes_after("oauth = false", "oauth = true"), "is set besides `oauth`");
    blamed(mistakes_after("renew_before = \"1h\"", "renew_before = \"48h\""), "is more than 12h");
    blamed(mistakes_after("renew_before = \"10m\"", "renew_before = \"1h\""), "is more than 30m");
    let missing = "systems.timerex.oauth.scopes: lacks `User.Teams.Read`";
    blamed(mistakes_after("\"profile\", \"User.Teams.Read\", ", "\"profile\", "), missing);
    blamed(
        mistakes_after("client_secret = \"timerex-client-secret\"", ""),
        "systems.timerex.oauth.client_secret: is missing",
    );
    let http = "needs an https server.public_url: TimeRex";
    blamed(mistakes_after("public_url = \"https://", "public_url = \"http://"), http);
    blamed(mistakes_after("\nversion = \"2021-07-28\"", "\nversion = \"v3\""), "v3 has other names");
}

#[test]
fn secrets_are_sealed_only_where_there_is_a_key_to_open_them_with() {
    let text = "[store]\nsecret_links = \"seal\"\n";
    let mistakes = read(text).unwrap_err().to_string();
    assert_eq!(
        mistakes,
        "lockstep.toml:2: store.secret_links: needs [seal] keys to seal with; `lockstep key new` makes one"
    );
    let keys = format!("[seal]\nkeys = [\"{}=\"]\n", "A".repeat(43));
    assert_eq!(read(&format!("{text}{keys}")).unwrap().store.secret_links, SecretLinks::Seal);
}

#[test]
fn a_team_is_reached_by_oauth_where_its_connection_says_so() {
    let by_oauth = |text: &str| {
        text.replace("api_key = \"timerex-api-key\"\n", "").replacen(
            "oauth = false\n# \"Security Token",
            "oauth = true\n# \"Security Token",
            1,
        )
    };
    let text = by_oauth(&whole_example());
    let config = read(&text).unwrap();
    assert!(config.has_team("acme") && !config.has_team("other"));
    assert!(!read(&whole_example()).unwrap().has_team("acme"), "it shows an api key");
    assert!(!config.logins().contains_key("scheduling"), "no login is looked for");
    let mistakes = read(&without_table(&text, "systems.timerex.oauth")).unwrap_err();
    let text = "connections.scheduling.oauth: needs [systems.timerex.oauth] with the app's client id and secret";
    assert!(mistakes.0.iter().any(|mistake| mistake.to_string().ends_with(text)), "{mistakes}");
}

#[test]
fn a_field_may_have_a_rule_of_its_own_where_somebody_has_it() {
    let text = whole_example().replace("phone = \"newest\"", "phone = \"prefer_timify\"");
    let text =
        text.replace("tags = \"newest\"", "tags = \"union\"").replace("loyalty\" = \"newest\"", "loyalty\" = \"hold\"");
    let rules = read(&text).unwrap().workspaces().remove(0).policy.rules;
    let of = |field: &Field| rules.of(Kind::Contact, field);
    assert_eq!((of(&Field::PHONE), of(&Field::EMAIL)), (FieldRule::PreferTimify, FieldRule::Newest));
    assert_eq!((of(&Field::tag("vip")), of(&Field::custom("loyalty"))), (FieldRule::Union, FieldRule::Hold));

    let small = "[[workspaces]]\nname = \"main\"\n[workspaces.policies.contact]\n";
    let blamed = |line: &str, expected: &str| {
        let mistakes = read(&format!("{small}{line}\n")).unwrap_err().to_string();
        let expected = format!("lockstep.toml:4: workspaces[0].policies.contact.{expected}");
        assert!(mistakes.lines().any(|line| line == expected), "{mistakes}");
    };
    blamed("phone = \"prefer_timify\"", "phone: the workspace has no account in timify");
    blamed("\"custom:hats\" = \"union\"", "custom:hats: no account of this workspace has a field `hats`");
}

#[test]
fn two_workspaces_never_share_a_name_an_account_or_a_secret() {
    let text = whole_example();
    let at = text.find("[[workspaces]]").unwrap();
    let twice = format!("{text}{}", &text[at..]);
    let found = read(&twice).unwrap_err();
    let keys: Vec<&str> = found.0.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "workspaces[1].name",
            "workspaces[1].ghl.location",
            "workspaces[1].timify.company",
            "workspaces[1].timerex.team",
            "workspaces[1].extensions.timify.secrets",
            "workspaces[1].extensions.timerex.secrets",
        ]
    );
    let first_copy = text.lines().count();
    assert!(found.0.iter().all(|mistake| matches!(mistake.source, Source::Line(line) if line > first_copy)));
}

#[test]
fn the_checks_say_who_may_speak_for_whom() {
    let checks = checks(&read(&whole_example()).unwrap());
    let seen = |system| -> Vec<(Scheme, String, bool)> {
        checks[&system].iter().map(|check| (check.scheme(), check.credential.clone(), check.rule.is_some())).collect()
    };
    assert_eq!(
        seen(System::Ghl),
        [
            (Scheme::Ed25519, "app:ghl".to_owned(), true),
            (Scheme::RsaSha256, "app:ghl".to_owned(), true),
            (Scheme::HmacSha256, "connection:crm".to_owned(), true),
        ]
    );
    assert_eq!(
        seen(System::Timify),
        [
            (Scheme::StaticToken, "connection:bookings".to_owned(), false),
            (Scheme::HmacSha256, "connection:bookings".to_owned(), false),
            (Scheme::StandardWebhooks, "extension:main:timify".to_owned(), false),
        ]
    );
    assert!(checks.values().flatten().all(|check| check.speaks_for == ["main"]));
}

#[test]
fn without_our_app_id_or_any_secret_there_is_no_check() {
    assert!(checks(&read("").unwrap()).is_empty());
    let without = whole_example().replace("app_id = \"65f0c0ffee00000000000000\"\n", "");
    let without = without_table(&without, "systems.ghl.oauth");
    let without = without.replacen("hmac_secrets = [\"a long random text\"]", "hmac_secrets = []", 1);
    assert!(!checks(&read(&without).unwrap()).contains_key(&System::Ghl));
}

#[test]
fn a_location_opens_a_workspace_of_its_own_once_and_never_under_the_name_of_another() {
    let config = read(&whole_example()).unwrap();
    let names = |config: &Config| config.workspaces.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    let opened = config.opening(["LocB".to_owned(), "LocB".to_owned()]);
    assert_eq!(names(&opened), ["main", "ghl-LocB"]);
    assert_eq!(
        (opened.workspace_of(System::Ghl, "LocB"), config.workspace_of(System::Ghl, "LocB")),
        (Some("ghl-LocB"), None)
    );
    let taken = read(&whole_example().replace("name = \"main\"", "name = \"ghl-LocB\"")).unwrap();
    assert_eq!(names(&taken.opening(["LocB".to_owned()])), ["ghl-LocB"], "two customers would share it");
}
