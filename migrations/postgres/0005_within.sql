-- Objects that stand within another one (the notes in a TIMIFY customer, the occurrences of a series): the id of that one.

ALTER TABLE links ADD COLUMN within TEXT;
CREATE INDEX links_within ON links (within) WHERE within IS NOT NULL;
