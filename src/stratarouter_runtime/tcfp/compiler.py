"""A checked flow becomes a plan: flat, linked to agents, and with a digest of its own.

Must never know how a flow is checked, or a run.
"""

from __future__ import annotations

from typing import Final

from stratarouter_runtime import canonical
from stratarouter_runtime.errors import InvalidFlow
from stratarouter_runtime.ids import Digest
from stratarouter_runtime.tcfp import documents, ir
from stratarouter_runtime.tcfp.canonical_form import flow_digest
from stratarouter_runtime.tcfp.flattening import flatten
from stratarouter_runtime.tcfp.plan import LinkedAgent, Plan
from stratarouter_runtime.tcfp.registry import Registry, link
from stratarouter_runtime.tcfp.validation import kinds
from stratarouter_runtime.tcfp.validator import Checked, validate
from stratarouter_runtime.tcfp.values import checker

LANGUAGE: Final = "tcfp/1.0"


def compile_flow(flow: ir.Flow | Checked, registry: Registry, router: str = "") -> Plan:
    """The plan of a flow, its agents taken from `registry`; `router` is the identity of the scorer.

    Raises `InvalidFlow` with all diagnostics where any is an error, and `LinkError` where
    the agents at hand do not fit.
    """
    checked = _checked(flow, registry)
    agents = link(checked.agents, registry)
    router = router if checked.routes else ""
    limits = checked.flow.limits
    own = flow_digest(checked.flow)
    raises = _raises(checked)
    return Plan(
        name=checked.flow.name,
        digest=_plan_digest(own, agents, router),
        flow_digest=own,
        ops=flatten(
            checked.body, {agent.name: number for number, agent in enumerate(agents)}, agents, limits
        ),
        agents=agents,
        inputs=tuple(sorted(name for name, _ in checked.flow.input)),
        input=checker(checked.input),
        output=checker(checked.output),
        size=checked.size,
        limits=limits or ir.Limits(),
        effect=checked.effect,
        raises=raises,
        bound=checked.worst.bound(),
        router=router,
        document=documents.write(checked.flow, agents, router),
        signature=_signature(checked, raises),
        errors={kind: checker(data) for kind, data in checked.errors.items()},
    )


def compile_document(document: bytes) -> Plan:
    """The very plan whose `document` this is.

    Raises `InvalidFlow` where the document is none, or this runtime reads it otherwise.
    """
    flow, registry, router = documents.read(document)
    return compile_flow(flow, registry, router)


def _checked(flow: ir.Flow | Checked, registry: Registry) -> Checked:
    checked = flow if isinstance(flow, Checked) else validate(flow, registry)
    if checked.registry is not registry:
        checked = validate(checked.flow, registry)
    errors = [found for found in checked.diagnostics if found.severity == "error"]
    if errors:
        mistakes = "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
        raise InvalidFlow(
            f"flow '{checked.flow.name}' has {mistakes}: {errors[0]}",
            diagnostics=checked.diagnostics,
            hint="strata validate shows all of them",
        )
    return checked


def _plan_digest(own: Digest, agents: tuple[LinkedAgent, ...], router: str) -> Digest:
    parts = [own, *(agent.digest for agent in agents), router, LANGUAGE]
    return canonical.digest_bytes("\n".join(parts).encode(), canonical.PLAN)


def _needs(checked: Checked) -> ir.Needs:
    """The hosts and tools of all its agents; a flow itself takes neither CPU nor memory worth asking for."""
    every = [signature.needs for signature in checked.agents.values()]
    return ir.Needs(
        hosts=tuple(sorted({host for needs in every for host in needs.hosts})),
        tools=tuple(sorted({tool for needs in every for tool in needs.tools})),
    )


def _raises(checked: Checked) -> tuple[str, ...]:
    """The own kinds a caller has to reckon with: those listed, and those found."""
    return tuple(sorted({*checked.flow.raises, *kinds.own(checked.escaping)}))


def _signature(checked: Checked, raises: tuple[str, ...]) -> ir.Signature:
    """The flow as an agent, so that flows can call and route to it."""
    flow, limits = checked.flow, checked.flow.limits
    return ir.Signature(
        input=checked.input,
        output=checked.output,
        effect=checked.effect,
        stable=flow.stable,
        cache=flow.cache,
        semantic=flow.semantic,
        errors=raises,
        about=flow.about,
        tags=flow.tags,
        needs=_needs(checked),
        cost=ir.Cost(round(checked.worst.usd, 9), checked.worst.tokens),
        time=None if limits is None else limits.time,
    )
