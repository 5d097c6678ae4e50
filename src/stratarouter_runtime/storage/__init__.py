"""Where facts become durable: memory (the reference) and SQLite, behind one port."""
