-- Calls that wait for a person, and the answers. Instants are milliseconds since the Unix epoch.
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    server TEXT NOT NULL,
    grant_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    argument_keys TEXT NOT NULL,
    rule TEXT NOT NULL,
    message TEXT NOT NULL,
    policy TEXT NOT NULL,
    revision TEXT NOT NULL,
    ttl_s INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'refused', 'used')),
    requested_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    answered_ms INTEGER,
    answered_by TEXT,
    reason TEXT
);

CREATE INDEX approvals_by_fingerprint ON approvals (fingerprint, requested_ms);
CREATE INDEX approvals_by_grant ON approvals (grant_id, state, expires_ms);
CREATE INDEX approvals_by_expiry ON approvals (expires_ms);
