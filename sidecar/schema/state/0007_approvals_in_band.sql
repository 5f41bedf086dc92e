-- How a grant's calls wait for a person, and who answered: an operator, or the user of the client that called.
ALTER TABLE grants ADD COLUMN approval TEXT NOT NULL DEFAULT 'later' CHECK (approval IN ('later', 'wait', 'confirm'));

ALTER TABLE approvals ADD COLUMN person TEXT NOT NULL DEFAULT '' CHECK (person IN ('', 'operator', 'user'));
