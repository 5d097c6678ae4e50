"""How a flow is checked: names, types, effects, errors, policy and worst cases, step by step.

`validator` is the only way in. Must never know plans' layout, agents' implementations, or runs.
"""
