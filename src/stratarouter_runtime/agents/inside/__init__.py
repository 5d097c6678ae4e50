"""What workers run behind walls: one module a kind of code, each with `load` and `start`.

Imported by name in the worker, never by the server. Must never know: which walls stand around.
"""
