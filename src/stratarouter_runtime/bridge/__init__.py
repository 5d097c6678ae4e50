"""Encoders: back-ends that turn texts into vectors, and the scorer that compares them."""
