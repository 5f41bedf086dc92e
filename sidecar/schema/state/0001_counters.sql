-- What each counter stands at in each window. `value` is an exact decimal as text.
CREATE TABLE counters (
    key TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key, window_start)
) WITHOUT ROWID;

CREATE INDEX counters_by_end ON counters (window_end);
