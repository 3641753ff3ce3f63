//! `[[workspaces]]`: one customer's accounts, and the policies that hold for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::connections::{NAME_RULE, is_name};
use super::section::Section;
use super::setting::HttpUrl;
use crate::model::{
    Author, CalendarRow, FieldRule, FieldRules, Kind, Limits, Mode, Order, Policy, Projection, ReadBeforeWrite, System,
    Workspace,
};
use crate::secret::Secret;
use crate::verify::SigningSecret;

/// An account of a workspace in a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The vendor's id: a GHL location, a TIMIFY company, a TimeRex team's url path.
    pub id: String,
    /// The connection through which it is reached; empty: the install that opened the workspace.
    pub connection: String,
    /// What it calls fields of ours (`status`, or a name of one's own): the id of a custom field; at TimeRex the label of a
    /// question.
    pub fields: BTreeMap<String, String>,
}

/// An operator's endpoint for what a system lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Where it answers.
    pub url: String,
    /// Standard Webhooks secrets: the first signs, all are accepted.
    pub secrets: Vec<Secret>,
}

/// `[[workspaces]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceEntry {
    /// Its name.
    pub name: String,
    /// The mode to set; `None`: the stored one counts, and a new workspace starts in shadow.
    pub mode: Option<Mode>,
    /// Its account in each system.
    pub accounts: BTreeMap<System, Account>,
    /// What is put into TIMIFY's customers.
    pub projection: Projection,
    /// The extensions of its systems.
    pub extensions: BTreeMap<System, Extension>,
    /// The calendars that are one.
    pub calendars: Vec<CalendarRow>,
    /// Its policies.
    pub policy: Policy,
}

/// What the account of each system is called.
pub(super) const ACCOUNT_KEYS: &[(System, &str)] =
    &[(System::Ghl, "location"), (System::Timify, "company"), (System::Timerex, "team")];

/// The systems that may have an extension: GHL has all the objects itself.
const EXTENDED: &[System] = &[System::Timify, System::Timerex];

impl WorkspaceEntry {
    pub(super) fn read(section: &Section<'_>, limits: &Limits) -> Self {
        let name: String = section.must("name").unwrap_or_default();
        if !name.is_empty() && !is_name(&name) {
            section.mistake("name", NAME_RULE);
        }
        // Its keys stand in the table of an account, and only one system has them.
        let mut projection = Projection::default();
        let account = |(system, key): &(System, &str)| {
            let read = |account: &Section<'_>| {
                if *system == System::Timify {
                    projection = self::projection(account);
                }
                let fields = custom_fields(account);
                let (id, connection) = (account.must(key), account.must("connection"));
                Some(Account { id: id?, connection: connection?, fields })
            };
            Some((*system, section.table_if(system.word(), read)??))
        };

        let accounts: BTreeMap<System, Account> = ACCOUNT_KEYS.iter().filter_map(account).collect();
        let extensions: BTreeMap<System, Extension> = section.table("extensions", |all| {
            let one = |system: &System| Some((*system, all.table_if(system.word(), extension)??));
            EXTENDED.iter().filter_map(one).collect()
        });
        // An extension names fields of its own as it likes.
        let named =
            |field: &str| !extensions.is_empty() || accounts.values().any(|account| account.fields.contains_key(field));
        let rules = rules(section, named, |system| accounts.contains_key(&system));
        Self {
            name,
            mode: section.maybe("mode"),
            accounts,
            projection,
            extensions,
            calendars: section.tables("calendars", calendar),
            policy: policy(section, rules, limits),
        }
    }

    /// The workspace that an install opens: one GHL location under the default policies, until the configuration says more
    /// of it under this name.
    pub(super) fn opened(location: &str, limits: &Limits) -> Self {
        let account = Account { id: location.to_owned(), connection: String::new(), fields: BTreeMap::new() };
        Self {
            name: format!("ghl-{location}"),
            mode: None,
            accounts: [(System::Ghl, account)].into(),
            projection: Projection::default(),
            extensions: BTreeMap::new(),
            calendars: Vec::new(),
            policy: Policy { limits: limits.clone(), ..Policy::default() },
        }
    }

    /// The same, as the stages know it.
    pub fn to_model(&self) -> Workspace {
        Workspace {
            name: self.name.clone(),
            accounts: self.accounts.iter().map(|(system, account)| (*system, account.id.clone())).collect(),
            fields: self.accounts.iter().map(|(system, account)| (*system, account.fields.clone())).collect(),
            projection: self.projection.clone(),
            extensions: self.extensions.keys().copied().collect(),
            calendars: self.calendars.clone(),
            policy: self.policy.clone(),
        }
    }
}

/// The keys of `[workspaces.timify]` for what TIMIFY has no objects for.
fn projection(account: &Section<'_>) -> Projection {
    let default = Projection::default();
    Projection {
        notes: account.or("notes", default.notes),
        tags_field: account.maybe("tags_field"),
        make_tags_field: account.or("make_tags_field", default.make_tags_field),
    }
}

/// `[workspaces.SYSTEM.fields]`.
fn custom_fields(account: &Section<'_>) -> BTreeMap<String, String> {
    account.table("fields", |fields| {
        let mut ids = BTreeMap::new();
        for name in fields.keys() {
            if !is_name(&name) {
                fields.mistake(&name, NAME_RULE);
            }
            if let Some(id) = fields.must(&name) {
                ids.insert(name, id);
            }
        }
        ids
    })
}

fn extension(section: &Section<'_>) -> Option<Extension> {
    let url = section.must("url").map(|HttpUrl(url)| url);
    let secrets = section.secrets("secrets");
    if secrets.is_empty() {
        section.mistake("secrets", "needs at least one Standard Webhooks secret");
    }
    for (at, secret) in secrets.iter().enumerate() {
        if let Err(bad) = SigningSecret::standard(secret) {
            section.mistake("secrets", format!("secret {}: {bad}", at + 1));
        }
    }
    Some(Extension { url: url?, secrets })
}

fn calendar(section: &Section<'_>) -> CalendarRow {
    CalendarRow {
        name: section.must("name").unwrap_or_default(),
        ghl: section.maybe("ghl"),
        timify_service: section.maybe("timify_service"),
        timify_resource: section.maybe("timify_resource"),
        timerex: section.maybe("timerex"),
        timerex_url_path: section.maybe("timerex_url_path"),
    }
}

fn policy(section: &Section<'_>, rules: FieldRules, limits: &Limits) -> Policy {
    let default = Policy::default();
    let region: Option<String> = section.maybe("region");
    if region.as_ref().is_some_and(|code| code.len() != 2 || !code.bytes().all(|b| b.is_ascii_uppercase())) {
        section.mistake("region", "expected two capital letters such as \"JP\"");
    }
    let create = section.table("create", |create| {
        default.create.iter().map(|(system, rule)| (*system, create.or(system.word(), *rule))).collect()
    });
    let on_delete = section.table("on_delete", |on_delete| {
        default.on_delete.iter().map(|(kind, rule)| (*kind, on_delete.or(kind.word(), *rule))).collect()
    });
    let notify = section.table("notify", |notify| {
        System::ALL.iter().copied().filter(|system| notify.or(system.word(), false)).collect::<BTreeSet<_>>()
    });
    let read_before_write_of = section.table("read_before_write", read_before_write);
    section.table("policy", |policy| {
        let read_before_write = policy.or("read_before_write", default.read_before_write);
        Policy {
            order: order(policy),
            rules,
            create,
            on_delete,
            read_before_write,
            read_before_write_of: read_before_write_of
                .into_iter()
                .filter(|(_, word)| *word != read_before_write)
                .collect(),
            notify,
            round_minutes: policy.or("round_minutes", default.round_minutes),
            region,
            join_window: policy.or("join_window", default.join_window),
            late_write: policy.or("late_write", default.late_write),
            create_settle: policy.or("create_settle", default.create_settle),
            limits: limits.clone(),
            guards: default.guards,
        }
    })
}

/// `[workspaces.policies.KIND]`: the rule of each field. `named`: whether anybody has such a custom field; `has`: whether
/// there is an account in a system.
fn rules(section: &Section<'_>, named: impl Fn(&str) -> bool, has: impl Fn(System) -> bool) -> FieldRules {
    let mut rules = FieldRules::new();
    section.table("policies", |policies| {
        for kind in Kind::ALL {
            policies.table(kind.word(), |table| {
                let listed = FieldRules::names(*kind).map(|name| (name.to_owned(), table.or(name, FieldRule::Newest)));
                let custom = |name: String| Some((table.maybe(name.strip_prefix("custom:").map(|_| &*name)?)?, name));
                let free = table.keys().into_iter().filter_map(custom).map(|(rule, name)| (name, rule));
                for (name, rule) in listed.chain(free) {
                    let nobodys = name.strip_prefix("custom:").filter(|own| !named(own));
                    let absent = rule.preferred().filter(|system| !has(*system));
                    if let Some(mistake) = FieldRules::mistake(*kind, &name, rule) {
                        table.mistake(&name, mistake);
                    } else if let Some(own) = nobodys {
                        table.mistake(&name, format!("no account of this workspace has a field `{own}`"));
                    } else if let Some(system) = absent {
                        table.mistake(&name, format!("the workspace has no account in {system}"));
                    }
                    rules.set(*kind, &name, rule);
                }
            });
        }
    });
    rules
}

/// `[workspaces.read_before_write.SYSTEM]`: a word for each kind that has another than the policy's.
fn read_before_write(section: &Section<'_>) -> BTreeMap<(System, Kind), ReadBeforeWrite> {
    let of = |system: &System| {
        let read = |table: &Section<'_>| {
            let word = |kind: &Kind| Some(((*system, *kind), table.maybe(kind.word())?));
            Kind::ALL.iter().filter_map(word).collect::<Vec<_>>()
        };
        section.table(system.word(), read)
    };
    System::ALL.iter().flat_map(of).collect()
}

/// The order of stamps. An operator and a rule always come first: they act on purpose.
fn order(policy: &Section<'_>) -> Order {
    let tolerance = policy.or("clock_tolerance", Duration::from_secs(2));
    if tolerance.is_zero() {
        policy.mistake("clock_tolerance", "must be at least \"1ms\"");
    }
    let systems: Vec<System> = policy.or("precedence", vec![System::Ghl, System::Timify, System::Timerex]);
    let mut sorted = systems.clone();
    sorted.sort();
    if sorted != System::ALL {
        policy.mistake("precedence", "must name each of ghl, timify and timerex once");
    }
    let mut precedence = vec![Author::Operator, Author::Rule];
    precedence.extend(systems.into_iter().map(Author::from));
    Order::new(tolerance, &precedence)
}
