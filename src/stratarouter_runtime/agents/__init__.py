"""Kinds of microagent, each behind the port `Agent`: failures are values."""
