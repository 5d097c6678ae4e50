"""The shell that drives runs: decide, record, act, record."""
