//! The configuration: defaults in the code, then TOML, then the environment.
//!
//! In: a TOML file, and variables such as `LOCKSTEP_SERVER__PUBLIC` (upper case, `__` between the parts of a key; list
//! items by number, `LOCKSTEP_WORKSPACES__0__MODE`). Each secret `x` may come from a file that `x_file` names, looked for
//! beside the configuration. Out: a [`Config`] that is consistent, or all its [`Mistakes`] with file, line and key; the
//! [`Workspace`]s of the model; the [`Check`](crate::verify::Check)s of the routes. One file a section.

mod agree;
mod checks;
mod connections;
mod dispatch;
mod oauth;
mod reconcile;
mod retention;
mod section;
mod server;
mod setting;
mod systems;
#[cfg(test)]
mod tests;
mod tree;
mod workspaces;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::credentials::login::Login;
use crate::model::{System, Workspace};

pub use checks::checks;
pub use connections::Connection;
pub use dispatch::Dispatch;
pub use oauth::{GhlOauth, TimerexOauth};
pub use reconcile::Reconcile;
pub use retention::Retention;
pub use section::{Mistake, Mistakes, Shown};
pub use server::{Ops, Seal, SecretLinks, Server, Store};
pub use systems::{Ghl, Systems, Timerex, Timify};
pub use tree::Source;
pub use workspaces::{Account, Extension, WorkspaceEntry};

use section::{Notes, Section};
use tree::Node;

/// The whole configuration, consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The listeners.
    pub server: Server,
    /// The database.
    pub store: Store,
    /// The keys that credentials are sealed with.
    pub seal: Seal,
    /// Who may operate.
    pub ops: Ops,
    /// Limits of the running service.
    pub dispatch: Dispatch,
    /// When the systems are compared with what is known of them.
    pub reconcile: Reconcile,
    /// How long history is kept.
    pub retention: Retention,
    /// What holds for a system in all workspaces.
    pub systems: Systems,
    /// Credentials at the vendors, by name.
    pub connections: BTreeMap<String, Connection>,
    /// One customer's accounts each.
    pub workspaces: Vec<WorkspaceEntry>,
    shown: Vec<Shown>,
}

impl Config {
    /// Reads a file and lays the environment over it.
    pub fn load(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Mistakes> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            let mistake = Mistake::new(Source::Default, "", format!("cannot be read: {error}"));
            Mistakes(vec![Mistake { file: file.clone(), ..mistake }])
        })?;
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        Self::read(&file, &text, base, environment)
    }

    /// Reads a text; `file` names it in mistakes, `base` is the folder where files of secrets are looked for.
    pub fn read(
        file: &str,
        text: &str,
        base: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut variables: Vec<_> = environment.into_iter().collect();
        variables.sort();
        let result = Node::parse(text).and_then(|mut root| {
            let mistakes = root.overlay(&variables);
            Self::understand(&root, Notes::new(base, mistakes))
        });
        result.map_err(|mut mistakes| {
            mistakes.sort_by_key(|mistake| if let Source::Line(line) = mistake.source { line } else { usize::MAX });
            Mistakes(mistakes.into_iter().map(|mistake| Mistake { file: file.to_owned(), ..mistake }).collect())
        })
    }

    fn understand(root: &Node, notes: Notes) -> Result<Self, Vec<Mistake>> {
        let mut config = Section::root(&notes, root, |root| {
            let dispatch = root.table("dispatch", Dispatch::read);
            let limits = dispatch.limits.clone();
            Self {
                server: root.table("server", Server::read),
                store: root.table("store", Store::read),
                seal: root.table("seal", Seal::read),
                ops: root.table("ops", Ops::read),
                reconcile: root.table("reconcile", Reconcile::read),
                retention: root.table("retention", Retention::read),
                systems: root.table("systems", Systems::read),
                connections: Connection::read_all(root),
                workspaces: root.tables("workspaces", |section| WorkspaceEntry::read(section, &limits)),
                dispatch,
                shown: Vec::new(),
            }
        });
        agree::agree(&config, &notes);
        let (shown, mistakes) = notes.finish();
        config.shown = shown;
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }

    /// The workspaces, as the stages know them.
    pub fn workspaces(&self) -> Vec<Workspace> {
        self.workspaces.iter().map(WorkspaceEntry::to_model).collect()
    }

    /// The same with a workspace of its own for each of these GHL locations that no workspace has yet. Where the name that it
    /// would have is taken by another one, none opens: two customers would share it.
    pub fn opening(&self, locations: impl IntoIterator<Item = String>) -> Self {
        let mut opened = self.clone();
        for location in locations {
            let entry = WorkspaceEntry::opened(&location, &self.dispatch.limits);
            if !opened.has_location(&location) && opened.workspaces.iter().all(|one| one.name != entry.name) {
                opened.workspaces.push(entry);
            }
        }
        opened
    }

    /// The GHL locations that have a workspace.
    pub fn locations(&self) -> impl Iterator<Item = &str> {
        self.workspaces.iter().filter_map(|entry| Some(entry.accounts.get(&System::Ghl)?.id.as_str()))
    }

    /// Whether a workspace has this GHL location.
    pub fn has_location(&self, location: &str) -> bool {
        self.workspace_of(System::Ghl, location).is_some()
    }

    /// Whether a workspace has this TimeRex team, and reaches it with the tokens of a user.
    pub fn has_team(&self, team: &str) -> bool {
        let by_oauth = |name: &str| self.connections.get(name).is_some_and(|connection| connection.oauth);
        let accounts = self.workspaces.iter().filter_map(|entry| entry.accounts.get(&System::Timerex));
        accounts.filter(|account| account.id == team).any(|account| by_oauth(&account.connection))
    }

    /// Whether the locations of this agency open workspaces by themselves.
    pub fn opens_for(&self, company: Option<&str>) -> bool {
        let oauth = self.systems.ghl.oauth.as_ref().zip(company);
        oauth.is_some_and(|(oauth, company)| oauth.companies.iter().any(|one| one == company))
    }

    /// The name of the workspace that has this account.
    pub fn workspace_of(&self, system: System, account: &str) -> Option<&str> {
        let has = |entry: &&WorkspaceEntry| entry.accounts.get(&system).is_some_and(|one| one.id == account);
        self.workspaces.iter().find(has).map(|entry| entry.name.as_str())
    }

    /// The systems at which our app is an OAuth client.
    pub fn oauth_apps(&self) -> Vec<System> {
        let systems =
            [(System::Ghl, self.systems.ghl.oauth.is_some()), (System::Timerex, self.systems.timerex.oauth.is_some())];
        systems.into_iter().filter(|(_, there)| *there).map(|(system, _)| system).collect()
    }

    /// The connections with a login by name: their systems, and their logins as far as they stand here.
    pub fn logins(&self) -> BTreeMap<&str, (System, Option<&Login>)> {
        let connections = self.connections.iter().filter(|(_, connection)| !connection.oauth);
        connections.map(|(name, it)| (name.as_str(), (it.system, it.login.as_ref()))).collect()
    }

    /// Every value as it counts, and where it stands. Secrets are not in it.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The same as a text, one line a key.
    pub fn redacted(&self) -> String {
        self.shown.iter().fold(String::new(), |mut text, shown| {
            let value = shown.value.as_deref().unwrap_or("(not set)");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} = {value}    # {}", shown.key, shown.source);
            text
        })
    }
}
