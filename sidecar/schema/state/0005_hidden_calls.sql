ALTER TABLE grants ADD COLUMN hidden_calls TEXT NOT NULL DEFAULT 'denied' CHECK (hidden_calls IN ('denied', 'unknown'));
