-- Who may use which server under which policy. Only the SHA-256 of a token is kept.
CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    server TEXT NOT NULL,
    policy TEXT,
    token_hash BLOB NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    revoked_at TEXT
);

-- Counts every change of `grants`, so that a running gateway knows when to read them again.
CREATE TABLE grants_edition (
    edition INTEGER NOT NULL
);

INSERT INTO grants_edition (edition) VALUES (0);
