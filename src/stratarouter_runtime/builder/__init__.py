"""Flows and agents written in Python: the same flow as the YAML, the same digest."""
