ALTER TABLE grants ADD COLUMN list TEXT NOT NULL DEFAULT 'hidden' CHECK (list IN ('hidden', 'callable'));
ALTER TABLE grants ADD COLUMN policed_methods TEXT NOT NULL DEFAULT 'tools' CHECK (policed_methods IN ('tools', 'all'));
