-- Whether a conflict keeps its change is asked for each change that is let go of.

CREATE INDEX conflicts_by_change ON conflicts (change_id);
