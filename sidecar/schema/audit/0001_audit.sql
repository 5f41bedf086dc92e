-- One row per call, in the order in which they ended. `argument_keys` is a JSON array.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    server TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    method TEXT NOT NULL,
    tool TEXT NOT NULL,
    argument_keys TEXT NOT NULL,
    policy TEXT NOT NULL,
    revision TEXT NOT NULL,
    outcome TEXT NOT NULL,
    rule TEXT NOT NULL,
    message TEXT NOT NULL,
    result TEXT NOT NULL,
    cause TEXT NOT NULL,
    approval TEXT NOT NULL,
    session TEXT NOT NULL,
    duration_ms REAL
);
