"""What is asked of a flow or an agent, as a cache sees it: what has to be equal, and what may match by meaning.

Must never know: when an answer may be reused, or where it is kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from stratarouter_runtime.cache.recall import Question
from stratarouter_runtime.canonical import canonical, digest_bytes
from stratarouter_runtime.tcfp.digests import call_key, type_form

if TYPE_CHECKING:
    from stratarouter_runtime.cache.policy import Policy
    from stratarouter_runtime.ids import Digest
    from stratarouter_runtime.ports import AgentCall
    from stratarouter_runtime.tcfp.plan import LinkedAgent
    from stratarouter_runtime.tcfp.types import Type

FLOW: Final = "flow:"
AGENT: Final = "agent:"
"""How the space of a flow, or of an agent, begins."""


def space_of(name: str) -> str:
    """The space of a flow by its name; of an agent, or written out, by `agent:NAME`."""
    return name if name.startswith((FLOW, AGENT)) else FLOW + name


def of_call(agent: LinkedAgent, call: AgentCall, given: Digest, policy: Policy, edition: str) -> Question:
    """The question that a call of an agent is; `given` is the digest of its input."""
    of, space = typed(agent), AGENT + agent.name
    key = call_key(of, [given, edition])
    if not policy.semantic:
        return Question(call.tenant, space, policy, key, of)
    rest, texts = apart(call.input, policy.semantic)
    return Question(call.tenant, space, policy, key, of, [*rest, edition], texts)


def apart(form: dict[str, Any], semantic: tuple[str, ...]) -> tuple[list[Any], tuple[str, ...]]:
    """What has to be equal, and the texts that may match by meaning.

    Of which fields these are has to be equal too: a form leaves out fields that are null.
    """
    texts = {name: form[name] for name in semantic if isinstance(form.get(name), str)}
    rest = {name: part for name, part in form.items() if name not in texts}
    return [rest, sorted(texts)], tuple(texts[name] for name in sorted(texts))


def typed(agent: LinkedAgent) -> Digest:
    """Of the agent as this flow calls it: what one flow sees of an answer need not be all another wants."""
    return digest_bytes(f"{agent.digest}\n{_type_digest(agent.output.type)}".encode())


@lru_cache(maxsize=1024)
def _type_digest(type_: Type) -> Digest:
    return digest_bytes(canonical(type_form(type_)))
