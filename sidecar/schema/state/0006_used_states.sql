-- Sealed states that were used, until they expire. Instants are milliseconds since the Unix epoch.
CREATE TABLE used_states (
    nonce BLOB PRIMARY KEY,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX used_states_by_expiry ON used_states (expires_ms);
