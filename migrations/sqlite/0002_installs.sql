-- Installs of our app at a vendor, and what its answers tell beside the object.

CREATE TABLE installs (
    system TEXT NOT NULL,
    holder TEXT NOT NULL,
    account TEXT NOT NULL,
    company TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    scopes TEXT NOT NULL,
    sealed BLOB,
    expires INTEGER,
    generation INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    claimed_by TEXT,
    claimed_until INTEGER,
    PRIMARY KEY (system, holder, account)
) STRICT;

-- Authorizations that were begun: digests only, each good once.
CREATE TABLE tickets (
    state TEXT NOT NULL PRIMARY KEY,
    cookie TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT;

CREATE INDEX change_log_of_installs ON change_log (system, id) WHERE label IN ('INSTALL', 'UNINSTALL');

-- The vendor's trace id, and what it said is left of its limits.
ALTER TABLE attempts ADD COLUMN trace TEXT;
ALTER TABLE attempts ADD COLUMN burst_left INTEGER;
ALTER TABLE attempts ADD COLUMN day_left INTEGER;
