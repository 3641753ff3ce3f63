-- The tables of Lockstep, in SQLite. migrations/postgres has the same numbers, names, tables and columns.
-- Instants are milliseconds since 1970 (UTC). JSON is text. Ids of entities are UUIDs as text.

CREATE TABLE workspaces (
    name TEXT NOT NULL PRIMARY KEY,
    mode TEXT NOT NULL,
    made INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;

CREATE TABLE credentials (
    name TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- What was said. Never updated.
CREATE TABLE change_log (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    dedup TEXT NOT NULL UNIQUE,
    workspace TEXT,
    system TEXT NOT NULL,
    extension INTEGER NOT NULL,
    origin TEXT NOT NULL,
    label TEXT NOT NULL,
    kind TEXT,
    object TEXT,
    standing TEXT NOT NULL,
    reason TEXT,
    at INTEGER,
    received INTEGER NOT NULL
) STRICT;
CREATE INDEX change_log_by_standing ON change_log (standing, id);
CREATE INDEX change_log_webhooks ON change_log (workspace, system, received) WHERE origin = 'webhook';

-- The raw body and the kept headers of a change; may be purged while the change stays.
CREATE TABLE bodies (
    change_id INTEGER NOT NULL PRIMARY KEY REFERENCES change_log (id),
    headers TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- Changes without a verdict. With an entity: they wait for that entity to be read in that system.
CREATE TABLE inbox (
    change_id INTEGER NOT NULL PRIMARY KEY REFERENCES change_log (id),
    workspace TEXT NOT NULL,
    due INTEGER NOT NULL,
    entity TEXT,
    system TEXT,
    doubt INTEGER
) STRICT;
CREATE INDEX inbox_by_due ON inbox (workspace, due) WHERE entity IS NULL;
CREATE INDEX inbox_by_lane ON inbox (entity, system);
CREATE INDEX inbox_by_workspace ON inbox (workspace);

CREATE TABLE verdicts (
    change_id INTEGER NOT NULL PRIMARY KEY REFERENCES change_log (id),
    workspace TEXT,
    entity TEXT,
    outcome TEXT NOT NULL,
    findings TEXT NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX verdicts_by_entity ON verdicts (entity, change_id);
CREATE INDEX verdicts_by_outcome ON verdicts (workspace, outcome);

CREATE TABLE entities (
    id TEXT NOT NULL PRIMARY KEY,
    workspace TEXT NOT NULL,
    kind TEXT NOT NULL,
    parent TEXT REFERENCES entities (id) DEFERRABLE INITIALLY DEFERRED,
    fields TEXT NOT NULL,
    email_key TEXT,
    phone_key TEXT,
    life TEXT NOT NULL,
    deleted_at INTEGER,
    deleted_by TEXT,
    merged_into TEXT REFERENCES entities (id) DEFERRABLE INITIALLY DEFERRED,
    made INTEGER NOT NULL,
    rev INTEGER NOT NULL
) STRICT;
CREATE INDEX entities_by_workspace ON entities (workspace, life, id);
CREATE INDEX entities_by_parent ON entities (parent, life);
CREATE INDEX entities_by_email ON entities (email_key, workspace, kind) WHERE email_key IS NOT NULL;
CREATE INDEX entities_by_phone ON entities (phone_key, workspace, kind) WHERE phone_key IS NOT NULL;

CREATE TABLE links (
    workspace TEXT NOT NULL,
    system TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    entity TEXT NOT NULL REFERENCES entities (id) DEFERRABLE INITIALLY DEFERRED,
    state TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    version INTEGER,
    seen INTEGER NOT NULL,
    sent TEXT,
    ledger TEXT NOT NULL,
    rev INTEGER NOT NULL,
    PRIMARY KEY (workspace, system, kind, id)
) STRICT;
CREATE UNIQUE INDEX links_one_live ON links (entity, system) WHERE state = 'live';
CREATE INDEX links_by_entity ON links (entity);
CREATE INDEX links_by_id ON links (id);

CREATE TABLE mirrors (
    entity TEXT NOT NULL REFERENCES entities (id) DEFERRABLE INITIALLY DEFERRED,
    system TEXT NOT NULL,
    workspace TEXT NOT NULL,
    state TEXT NOT NULL,
    due INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    doubt INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    intent TEXT,
    reason TEXT,
    since INTEGER,
    rev INTEGER NOT NULL,
    PRIMARY KEY (entity, system)
) STRICT;
CREATE INDEX mirrors_by_state ON mirrors (workspace, state, due);
CREATE INDEX mirrors_with_intent ON mirrors (workspace, system) WHERE intent IS NOT NULL;

CREATE TABLE attempts (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    entity TEXT NOT NULL,
    system TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT,
    fields TEXT NOT NULL,
    result TEXT NOT NULL,
    status INTEGER,
    note TEXT,
    at INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    lag_ms INTEGER
) STRICT;
CREATE INDEX attempts_by_entity ON attempts (entity, system, at);
CREATE INDEX attempts_by_action ON attempts (workspace, system, action, at);
CREATE INDEX attempts_by_time ON attempts (workspace, at);

-- Values that lost. Both sides are JSON: value and stamp.
CREATE TABLE conflicts (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    entity TEXT NOT NULL,
    change_id INTEGER REFERENCES change_log (id),
    field TEXT NOT NULL,
    system TEXT NOT NULL,
    lost TEXT NOT NULL,
    won TEXT NOT NULL,
    rule TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX conflicts_by_entity ON conflicts (workspace, entity, id);

CREATE TABLE reviews (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    subject TEXT NOT NULL,
    entity TEXT,
    text TEXT NOT NULL,
    at INTEGER NOT NULL,
    closed INTEGER
) STRICT;
CREATE UNIQUE INDEX reviews_one_open ON reviews (workspace, subject) WHERE closed IS NULL;

CREATE TABLE leases (
    workspace TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX leases_by_owner ON leases (owner);

CREATE TABLE cursors (
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (workspace, name)
) STRICT;
