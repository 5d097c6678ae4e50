"""Where facts become durable: memory (the reference), SQLite and PostgreSQL, behind one port."""
