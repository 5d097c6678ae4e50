"""Labels that a receiver accepts are no longer in the way.

Must never know why they are accepted.
"""

from __future__ import annotations

from msgspec.structs import replace

from stratarouter_runtime.tcfp import relations
from stratarouter_runtime.tcfp.types import Labels, ListType, MapType, RecordType, Type, UnionType


def accepted(type_: Type, labels: Labels) -> Type:
    """The type without these labels, at every depth."""
    if labels.isdisjoint(relations.labels_of(type_)):
        return type_
    match type_:
        case ListType():
            type_ = replace(type_, item=accepted(type_.item, labels))
        case MapType():
            type_ = replace(type_, value=accepted(type_.value, labels))
        case RecordType():
            type_ = replace(type_, fields=tuple((name, accepted(of, labels)) for name, of in type_.fields))
        case UnionType():
            return relations.join(*(accepted(option, labels) for option in relations.options_of(type_)))
        case _:
            pass
    return replace(type_, labels=type_.labels - labels)
