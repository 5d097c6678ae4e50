"""Who shares a runtime: what tenants may use, what counts against it, and what their agents may be; pure.

Must never know: where any of it is kept, counted or enforced.
"""
