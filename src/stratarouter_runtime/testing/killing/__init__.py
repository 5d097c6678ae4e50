"""The real server, killed at random moments again and again, with clients at work; and what must be true after."""
