"""What keeps the project in order; no part of what is shipped."""
