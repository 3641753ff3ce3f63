//! Who may import whom. A room is a module with all below it that has no row of its own; what a room may use is its row,
//! and nothing else. Rows stand in the order in which they may build on each other, so that no circle can arise.

/// A room, by its paths below `src/`.
pub struct Room {
    /// The modules that make it up.
    pub paths: &'static [&'static str],
    /// The rooms that it may use, each named by its first path.
    pub may_use: &'static [&'static str],
}

const fn room(paths: &'static [&'static str], may_use: &'static [&'static str]) -> Room {
    Room { paths, may_use }
}

/// Everything.
pub const ALL: &[&str] = &["*"];

/// The rooms.
pub const ROOMS: &[Room] = &[
    // Nouns, time, randomness, secrets.
    room(&["clock"], &[]),
    room(&["ids"], &["clock"]),
    room(&["secret"], &[]),
    // Doing many things, a few at a time.
    room(&["few"], &[]),
    room(&["model"], &["clock"]),
    // Pure judgement.
    room(&["verify"], &["clock", "model", "secret"]),
    room(
        &["resolve/decide", "resolve/claim", "resolve/contest", "resolve/identity", "resolve/merge"],
        &["clock", "model"],
    ),
    room(&["mirror/plan", "mirror/deletion", "mirror/spread"], &["clock", "model"]),
    // Around the stages. The log's form is one of the model's word lists.
    room(&["telemetry"], &["model"]),
    room(&["supervisor"], &["clock"]),
    // Seams, and what is behind them.
    room(&["store"], &["clock", "model"]),
    room(&["store/sql"], &["clock", "model", "store"]),
    room(&["store/memory"], &["clock", "model", "store"]),
    // Offsets between clocks, calls through a `Transport`, and the words that all systems' JSON shares stand here too. The
    // link of an invitation is a secret.
    room(&["systems"], &["clock", "model", "secret", "verify"]),
    room(&["systems/http_client"], &["systems"]),
    room(&["systems/extension"], &["clock", "ids", "model", "systems", "verify"]),
    room(&["systems/ghl"], &["clock", "model", "systems", "verify"]),
    // The doors of both read their extension's webhooks too.
    room(&["systems/timify"], &["clock", "model", "secret", "systems", "systems/extension", "verify"]),
    room(&["systems/timerex"], &["clock", "model", "secret", "systems", "systems/extension", "verify"]),
    // The configuration may name a login, so the noun has a room of its own.
    room(&["credentials/login"], &["model", "secret"]),
    // A credential is what `systems` asks for one; tokens are fetched through its `Transport`.
    room(&["credentials"], &["clock", "credentials/login", "few", "ids", "model", "secret", "store", "systems"]),
    // Keys and secrets are checked where they are read, so it builds what `verify` checks with.
    room(&["config"], &["clock", "credentials/login", "model", "secret", "verify"]),
    // The stages. Small parts of dispatch serve those who call vendors: the pause before a retry, and the rate budget, which
    // is an `Allowance` of `systems`.
    room(&["dispatch/budget"], &["clock", "ids", "model", "systems"]),
    room(&["dispatch/retry"], &["clock", "ids", "model"]),
    // What a webhook is about is an `Envelope`, which only a `Door` makes.
    room(&["record"], &["clock", "model", "secret", "store", "systems", "verify"]),
    // Who must be told is decided with the change itself, by the pure part of mirror.
    room(&["resolve"], &["clock", "ids", "model", "mirror/plan", "resolve/decide", "store", "systems"]),
    // A read or an answer is an observation like any other: it goes through the same decision.
    room(
        &["mirror"],
        &["clock", "dispatch/retry", "ids", "mirror/plan", "model", "resolve", "resolve/decide", "store", "systems"],
    ),
    // The loop asks resolve and mirror in turn, and beats for the supervisor.
    room(&["dispatch"], &["clock", "mirror", "model", "resolve", "store", "supervisor", "systems"]),
    room(&["reconcile"], &["clock", "ids", "model", "resolve/decide", "store", "systems"]),
    // HTTP. What a webhook is proven by is remembered over restarts. Health says which senders have a check; the operator
    // names a reconcile `Scope`.
    room(&["receive"], &["clock", "ids", "model", "record", "store", "systems", "verify"]),
    room(&["http"], &["clock", "ids", "model", "receive", "reconcile", "secret", "store", "verify"]),
    // The stand-ins: a pure core, and a shell that has the sockets.
    room(&["sandbox"], &["clock", "model", "secret"]),
    room(&["sandbox/shell", "sandbox/control"], &["clock", "model", "sandbox"]),
    // Who knows concrete types.
    room(&["app"], ALL),
    room(&["cli"], ALL),
    // Runs what `app` wires, in virtual time.
    room(&["sandbox/simulate"], ALL),
    room(&["main"], &["cli"]),
    room(&["lib"], &[]),
];

/// Rooms and modules without IO: nothing in them waits.
pub const PURE: &[&str] = &[
    "ids",
    "secret",
    "model",
    "verify",
    "config",
    "resolve/decide",
    "resolve/claim",
    "resolve/contest",
    "resolve/identity",
    "resolve/merge",
    "mirror/deletion",
    "mirror/plan",
    "mirror/spread",
    "dispatch/retry",
    "systems/capabilities",
    "systems/timify/appointments",
    "systems/timify/customers",
    "systems/timify/definitions",
    "systems/timify/notebook",
    "systems/timify/tags",
    "sandbox/core",
    "sandbox/delivery",
    "sandbox/extension",
    "sandbox/faults",
    "sandbox/ghl",
    "sandbox/requests",
    "sandbox/settings",
    "sandbox/signing",
    "sandbox/timerex",
    "sandbox/timify",
    "sandbox/web",
];

/// Crates that only these modules may use; the rest may be used anywhere.
pub const CRATES: &[(&str, &[&str])] = &[
    ("sqlx", &["store/sql"]),
    ("reqwest", &["systems/http_client", "sandbox/shell", "cli"]),
    ("axum", &["http", "sandbox/shell", "sandbox/control", "app"]),
    ("tower_http", &["http"]),
    (
        "tokio",
        &[
            "app",
            "cli",
            // Only `SystemClock::sleep`.
            "clock",
            "credentials",
            "dispatch",
            "few",
            "http",
            "record",
            // Only `lookup`: the lock that matches one object at a time.
            "resolve",
            "sandbox/shell",
            "sandbox/simulate",
            // Only `settle/together`: settlements that wait for one commit.
            "store/sql",
            "supervisor",
            "systems/timify",
            // Only its task-local.
            "systems/trail",
        ],
    ),
    // In credentials, only to wait for renewals that run.
    ("tokio_util", &["app", "cli", "credentials", "dispatch", "sandbox/shell", "sandbox/simulate", "supervisor"]),
    ("anyhow", &["app", "cli", "sandbox/simulate"]),
    ("clap", &["cli"]),
    ("comfy_table", &["cli"]),
    ("toml", &["config"]),
    ("tracing_subscriber", &["telemetry"]),
    ("secrecy", &["secret"]),
    ("phonenumber", &["model"]),
    ("aws_lc_rs", &["verify", "sandbox/signing"]),
    ("hmac", &["verify", "credentials", "sandbox/signing"]),
    ("sha2", &["verify", "credentials", "sandbox/signing", "secret"]),
    ("subtle", &["verify", "secret"]),
    ("chacha20poly1305", &["credentials/seal"]),
    ("oauth2", &["credentials"]),
    ("backon", &["dispatch/retry"]),
];

/// The first path of the room that a module belongs to.
pub fn room_of(module: &str) -> Option<&'static Room> {
    let fits = |room: &Room| room.paths.iter().filter(|path| is_below(module, path)).map(|path| path.len()).max();
    let rooms = ROOMS.iter().filter_map(|room| fits(room).map(|length| (length, room)));
    rooms.max_by_key(|(length, _)| *length).map(|(_, room)| room)
}

/// Whether a module is another one, or below it.
pub fn is_below(module: &str, other: &str) -> bool {
    module.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
