-- Who answered the approval of a call: an operator, the user of the client that called, or nobody.
ALTER TABLE audit ADD COLUMN person TEXT NOT NULL DEFAULT '';
