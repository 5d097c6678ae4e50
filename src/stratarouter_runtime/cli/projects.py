"""The flows of a project, deployed under their names: what a server of any protocol begins with.

Must never know: which protocol.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stratarouter_runtime.api.workflows import ID_HINT, id_fault
from stratarouter_runtime.cli.flows import Document, documents, rejected
from stratarouter_runtime.errors import InvalidFlow, NotFound
from stratarouter_runtime.ids import LOCAL, FlowId, Tenant

if TYPE_CHECKING:
    from stratarouter_runtime.runtime import Runtime


async def deploy_project(runtime: Runtime, project: Path, tenant: Tenant = LOCAL) -> list[FlowId]:
    """Deploy every flow of the folder `project` for a tenant; their names.

    Raises as `Deployments.deploy`.
    """
    await runtime.flows.offer_deployed(tenant)
    flows = [await _deploy(runtime, document, tenant) for document in documents(project)]
    twice = sorted({flow for flow in flows if flows.count(flow) > 1})
    if twice:
        raise InvalidFlow(
            f"several flows of {project} are named {', '.join(twice)}", hint="a name stands for one flow"
        )
    return flows


async def _deploy(runtime: Runtime, document: Document, tenant: Tenant) -> FlowId:
    """Deploy a flow under its name; what is deployed already stays as it is."""
    try:
        plan = runtime.flows.compile(document.source, tenant=tenant)
    except InvalidFlow as error:
        raise rejected(document, error) from error
    flow = FlowId(plan.name)
    if fault := id_fault(flow):
        raise InvalidFlow(f"{document.name}: {fault}", hint=ID_HINT)
    try:
        deployed, _ = await runtime.flows.deployed(tenant, flow)
        if deployed.plan == plan.digest and deployed.source == document.text:
            return flow
    except NotFound:
        pass
    await runtime.flows.deploy(tenant, flow, document.text, by="serve")
    return flow
