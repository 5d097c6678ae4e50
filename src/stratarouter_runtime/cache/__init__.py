"""Reuse of answers: what may stand for what (pure), where answers are kept, how they are found."""
