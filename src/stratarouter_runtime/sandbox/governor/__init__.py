"""The governor: who may use how much of the machine now, and who comes next."""
