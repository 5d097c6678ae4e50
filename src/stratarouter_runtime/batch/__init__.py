"""Many requests at once: equal ones made one, many submitted together, calls of agents grouped."""
