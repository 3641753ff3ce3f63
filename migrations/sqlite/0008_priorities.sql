-- What is live goes before what a listing found, and is found behind it: the index holds it alone.

ALTER TABLE mirrors ADD COLUMN priority TEXT NOT NULL DEFAULT 'live';
CREATE INDEX mirrors_live ON mirrors (workspace, state, due) WHERE state = 'due' AND priority = 'live';
