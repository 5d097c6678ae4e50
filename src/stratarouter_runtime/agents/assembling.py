"""Blueprints and functions -> agents behind their fences; those that call others after these.

Must never know: kinds of agents, or where they were found.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from stratarouter_runtime.agents.fence import Fenced
from stratarouter_runtime.agents.kinds import Blueprint, Using
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.errors import LinkError
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.ports import Agent


def assemble(functions: Sequence[Agent], blueprints: Sequence[Blueprint], workshop: Workshop) -> list[Fenced]:
    """All of them, each fenced; what is at hand already stays at hand.

    Raises `LinkError` where agents use each other in a circle, or do not fit.
    """
    made = [Fenced(agent, workshop) for agent in functions]
    known: dict[AgentName, Agent] = {agent.name: agent for agent in made}
    shop = replace(workshop, colleagues=lambda name: known.get(name) or workshop.colleagues(name))
    pending = list(blueprints)
    while pending:
        waiting = {blueprint.name for blueprint in pending}
        ready = [blueprint for blueprint in pending if waiting.isdisjoint(_uses(blueprint))]
        if not ready:
            raise LinkError(f"agents use each other in a circle: {', '.join(sorted(waiting))}")
        fenced = [Fenced(blueprint.build(shop), workshop) for blueprint in ready]
        made += fenced
        known.update((agent.name, agent) for agent in fenced)
        pending = [blueprint for blueprint in pending if blueprint not in ready]
    return made


def _uses(blueprint: Blueprint) -> tuple[AgentName, ...]:
    return blueprint.uses if isinstance(blueprint, Using) else ()
