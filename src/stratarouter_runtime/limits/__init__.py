"""Who may call, and how much: keys, tiers, and the gate in front of executions."""
