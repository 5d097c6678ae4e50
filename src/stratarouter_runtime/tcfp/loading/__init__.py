"""From nodes to the flow they write: one module for each part of a document."""
