"""Ids derived from a caller's key."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from stratarouter_runtime.ids import Tenant, derived_execution_id


def test_a_derived_id_never_changes() -> None:
    """Stored executions are found by it: another formula would run them a second time."""
    assert derived_execution_id(Tenant("ann"), "order-1") == "exec_8dc3722507cb85aa96e6e779e4872c33"


@given(tenant=st.text(), key=st.text())
def test_a_derived_id_is_a_uuid_of_version_eight(tenant: str, key: str) -> None:
    derived = derived_execution_id(Tenant(tenant), key)
    parsed = uuid.UUID(derived.removeprefix("exec_"))
    assert derived == f"exec_{parsed.hex}"
    assert (parsed.version, parsed.variant) == (8, uuid.RFC_4122)


@given(st.lists(st.tuples(st.text(), st.text()), unique=True))
def test_other_tenants_and_keys_have_other_ids(pairs: list[tuple[str, str]]) -> None:
    assert len({derived_execution_id(Tenant(tenant), key) for tenant, key in pairs}) == len(pairs)


def test_the_border_between_tenant_and_key_counts() -> None:
    assert derived_execution_id(Tenant("ab"), "c") != derived_execution_id(Tenant("a"), "bc")
