"""Walls around agents: the box, the workers inside, and the governor that admits what they take."""
