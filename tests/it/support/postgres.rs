//! A PostgreSQL server for the tests.
//!
//! `TEST_POSTGRES_URL` names one whose user may create databases; each test gets a database there and drops it. Else a
//! throw-away cluster is started from the installed package: one for the test binary, on a Unix socket only, without fsync.
//! A small shell waits for the end of this process, however it ends, and then stops the cluster and removes its folder.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use lockstep::store::sql::{Access, Db};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

/// What the folders of our clusters are called, before the number of the process.
const FOLDER: &str = "lockstep-test-postgres-";

/// The database that holds migrated tables, to be copied.
const TEMPLATE: &str = "lockstep_template";

/// Where the packages of Debian and its kin put the server.
const DEBIAN: &str = "/usr/lib/postgresql";

static SERVER: OnceCell<Server> = OnceCell::const_new();

/// A database of its own.
pub struct Fresh {
    /// How to reach it.
    pub url: String,
    name: String,
    /// The server to drop it from; a cluster of our own is removed as a whole.
    named_server: Option<String>,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let Some(server) = self.named_server.take() else { return };
        let statement = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        // Drop is no async fn, and may run inside a runtime: so another thread with a runtime of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(&server, &statement));
        });
        drop(dropping.join());
    }
}

struct Server {
    /// A database to stand in while making others.
    url: String,
    /// How to say that a new database is a copy of the template; empty where there is none.
    copied: String,
    /// `None`: the server is not ours.
    cluster: Option<Cluster>,
}

/// Makes a database.
pub async fn fresh() -> Fresh {
    let server = SERVER.get_or_init(start).await;
    let name = format!("lockstep_test_{:016x}", RandomState::new().build_hasher().finish());
    run(&server.url, &format!("CREATE DATABASE \"{name}\" {}", server.copied)).await;
    let named_server = server.cluster.is_none().then(|| server.url.clone());
    Fresh { url: with_database(&server.url, &name), name, named_server }
}

async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (place, query) =
        url.split_once('?').map_or((url, String::new()), |(place, query)| (place, format!("?{query}")));
    let (host, _) = place.rsplit_once('/').unwrap();
    format!("{host}/{name}{query}")
}

async fn start() -> Server {
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        return Server { url, copied: String::new(), cluster: None };
    }
    let programs = programs().expect("no PostgreSQL: install the package `postgresql`, or set TEST_POSTGRES_URL");
    let cluster = Cluster::raise(programs, QUICK);
    let url = cluster.url.clone();
    run(&url, &format!("CREATE DATABASE {TEMPLATE}")).await;
    Db::open(&with_database(&url, TEMPLATE), Access::Serve, 1).await.unwrap().close().await;
    Server { copied: copied(&url).await, url, cluster: Some(cluster) }
}

/// Copying files is the faster way without fsync, and the only one before version 15, which cannot be told so.
async fn copied(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let sql = "SELECT current_setting('server_version_num')::bigint";
    let (version,): (i64,) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
    let strategy = if version >= 150_000 { " STRATEGY FILE_COPY" } else { "" };
    format!("TEMPLATE {TEMPLATE}{strategy}")
}

/// The folder of `initdb` and `pg_ctl`: on the path, else the newest of Debian's.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    on_path.or_else(|| {
        let versions = std::fs::read_dir(DEBIAN).ok()?.flatten().map(|version| version.path().join("bin"));
        let number = |bin: &PathBuf| bin.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
        versions.filter(|bin| bin.join("initdb").exists()).max_by_key(number)
    })
}

/// A shell command as a user that PostgreSQL accepts: never root.
fn shell(script: &str, arguments: [&Path; 2]) -> Command {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = if root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", script, "sh"]).args(arguments).stdin(Stdio::null());
    command
}

/// A server that need not outlive the machine's power.
const QUICK: &str = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300 \
                     -c deadlock_timeout=100ms -c shared_buffers=32MB";

/// A server as people run it.
const DURABLE: &str = "-c shared_buffers=32MB";

/// A server of our own, which ends with us.
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    settings: &'static str,
    /// A database on it.
    pub url: String,
    _watcher: Child,
}

impl Cluster {
    /// One that nobody else uses, if its programs are there.
    pub async fn own() -> Option<Self> {
        let cluster = Self::raise(programs()?, DURABLE);
        run(&cluster.url, "CREATE DATABASE lockstep").await;
        Some(Self { url: with_database(&cluster.url, "lockstep"), ..cluster })
    }

    fn raise(programs: PathBuf, settings: &'static str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // Before the first of ours: what else bears our number is of a process before us.
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| sweep(&programs));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("{FOLDER}{}-{number}", std::process::id()));
        make_cluster(&programs, &folder);
        start_cluster(&programs, &folder, settings);
        Self { _watcher: watch(&programs, &folder), url: url_in(&folder), programs, folder, settings }
    }

    /// SIGKILL; what it had begun ends with it, and its socket goes as it does with a machine.
    pub fn kill(&self) {
        const KILL: &str = r#"kill -9 "$(head -n 1 "$2/data/postmaster.pid")" && rm -f "$2"/.s.PGSQL.*"#;
        let killed = shell(KILL, [&self.programs, &self.folder]).status().unwrap();
        assert!(killed.success(), "PostgreSQL was not there to be killed");
    }

    /// Starts it again.
    pub fn start(&self) {
        start_cluster(&self.programs, &self.folder, self.settings);
    }
}

/// The socket lies in the folder, which only its owner (and root) can enter.
fn url_in(folder: &Path) -> String {
    let socket = folder.to_str().unwrap().replace('/', "%2F");
    format!("postgres://lockstep@localhost/postgres?host={socket}")
}

// In all scripts `$1` is the programs, `$2` the folder.

const REMOVE: &str = r#""$1/pg_ctl" -D "$2/data" -m immediate -w stop; rm -rf "$2""#;

fn make_cluster(programs: &Path, folder: &Path) {
    const MAKE: &str = r#"set -e; umask 077; mkdir "$2"; cd "$2"
        "$1/initdb" -D "$2/data" -U lockstep -A trust -E UTF8 --locale=C -N"#;
    let made = shell(MAKE, [programs, folder]).output().unwrap();
    assert!(made.status.success(), "no cluster could be made: {}", String::from_utf8_lossy(&made.stderr));
}

fn start_cluster(programs: &Path, folder: &Path, settings: &str) {
    // What a killed one leaves behind goes away within moments; a new one refuses to start until then.
    const START: &str = r#"cd "$2"; for try in 1 2 3 4 5 6 7 8 9 10; do
            "$1/pg_ctl" -D "$2/data" -l "$2/log" -w -t 60 start -o "-k '$2' -c listen_addresses='' $SETTINGS" \
                </dev/null >/dev/null 2>&1 && exit 0
            sleep 0.2
        done; cat "$2/log" >&2; exit 1"#;
    let started = shell(START, [programs, folder]).env("SETTINGS", settings).output().unwrap();
    assert!(started.status.success(), "PostgreSQL did not start: {}", String::from_utf8_lossy(&started.stderr));
}

/// Waits for our end, and removes the cluster then.
fn watch(programs: &Path, folder: &Path) -> Child {
    let mut watcher = shell(&format!("read -r _; {REMOVE}"), [programs, folder]);
    watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // In a group of its own, so that an interrupt at the keyboard does not take it along.
    watcher.process_group(0).current_dir("/").spawn().unwrap()
}

/// Removes clusters whose process ended without its watcher (a machine that went down).
fn sweep(programs: &Path) {
    for folder in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten().map(|entry| entry.path()) {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(pid) = name.strip_prefix(FOLDER).and_then(|rest| rest.split('-').next()) else { continue };
        let alive = *pid != *std::process::id().to_string()
            && (!Path::new("/proc/self").exists() || Path::new("/proc").join(pid).exists());
        if !alive {
            drop(shell(REMOVE, [programs, &folder]).output());
        }
    }
}
