"""The fault matrix: real processes, killed at every point of small flows of every shape, and what came of it."""
