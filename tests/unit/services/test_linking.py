from __future__ import annotations

import pytest

from stratarouter_runtime.ids import LOCAL, Digest, ExecutionId, FlowId, Tenant
from stratarouter_runtime.ports import Deployed, Execution
from stratarouter_runtime.services.linking import linked_agents
from stratarouter_runtime.storage.memory import MemoryStore
from stratarouter_runtime.tcfp.documents import linked

OTHER = Tenant("other")
FLOW = FlowId("flow")


def document(*digests: str) -> bytes:
    agents = ", ".join(f'"a{digest}": {{"digest": "{digest}"}}' for digest in digests)
    return f'{{"agents": {{{agents}}}}}'.encode()


async def test_what_deployed_flows_and_unfinished_executions_may_call_is_linked() -> None:
    store = MemoryStore()
    plans = {"p": document("a", "child"), "child": document("b"), "q": document("c"), "r": document("d")}
    for digest, written in plans.items():
        await store.keep_plan(Digest(digest), written)
    await store.deploy(Deployed(FLOW, LOCAL, Digest("p"), "", 1))
    await store.deploy(Deployed(FLOW, OTHER, Digest("q"), "", 1))
    assert await linked_agents(store, LOCAL) == {"a", "b", "child"}
    assert await linked_agents(store, OTHER) == {"c"}
    running = Execution(ExecutionId("exec_1"), LOCAL, FLOW, Digest("r"), "running", 1, 1, 0)
    await store.create(running, [])
    assert await linked_agents(store, LOCAL) == {"a", "b", "child", "d"}


@pytest.mark.parametrize("written", [b"", b"{", b"[]", b'{"agents": []}', b'{"agents": {"a": {}}}'])
def test_a_document_that_cannot_be_read_is_linked_to_nothing(written: bytes) -> None:
    assert linked(written) == frozenset()
