"""The HTTP edge: decode, call, encode."""
