"""The demonstration: a support inbox answered through the durable engine."""
