-- Invitations: links by which one guest books once. The link itself is not kept here.

CREATE TABLE invitations (
    id TEXT NOT NULL PRIMARY KEY,
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL REFERENCES entities (id) DEFERRABLE INITIALLY DEFERRED,
    calendar TEXT NOT NULL,
    written_to TEXT NOT NULL,
    state TEXT NOT NULL,
    link TEXT,
    booking TEXT,
    watched INTEGER NOT NULL,
    reason TEXT,
    made INTEGER NOT NULL,
    looked INTEGER NOT NULL,
    due INTEGER,
    idle INTEGER NOT NULL,
    rev INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_by_workspace ON invitations (workspace, made);
CREATE INDEX invitations_by_due ON invitations (due) WHERE due IS NOT NULL;
CREATE INDEX invitations_by_contact ON invitations (contact);

-- What the vendor tells of links.
CREATE INDEX change_log_of_links ON change_log (object, received)
    WHERE label IN ('one_time_url.confirmed', 'one_time_url.cancelled');
