"""What a runtime is made of beside the way of a request: each service a capability put together from parts.

A service composes siblings that do not know each other and meets back-ends through ports. Must never
know: HTTP, SQL, any back-end, or the runtime above it.
"""
