"""The language: flow as written, types, expressions, checks, and the compiled plan."""
