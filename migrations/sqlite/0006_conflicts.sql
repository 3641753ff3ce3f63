-- What a person needs to judge a value that lost, and what became of it; pairs that are never to be matched.
-- object: the external object that it was about. base: what the system was known to hold before, as JSON. shown_by: what
-- kind of observation showed it. report: the first row of those that lost when one object was linked.

ALTER TABLE conflicts ADD COLUMN object TEXT;
ALTER TABLE conflicts ADD COLUMN base TEXT;
ALTER TABLE conflicts ADD COLUMN shown_by TEXT;
ALTER TABLE conflicts ADD COLUMN report INTEGER;
ALTER TABLE conflicts ADD COLUMN state TEXT NOT NULL DEFAULT 'open';
ALTER TABLE conflicts ADD COLUMN closed INTEGER;
ALTER TABLE conflicts ADD COLUMN closed_by TEXT;
CREATE INDEX conflicts_by_state ON conflicts (state, id);
CREATE INDEX conflicts_by_report ON conflicts (report) WHERE report IS NOT NULL;

-- Each pair once, the smaller id first.
CREATE TABLE apart (
    workspace TEXT NOT NULL,
    one TEXT NOT NULL,
    other TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (one, other)
) STRICT;
CREATE INDEX apart_by_other ON apart (other);
