"""A run: what its journal records, and how every decision follows from it. Pure."""
