"""Facts become log lines and figures; an observer cannot fail a run."""
