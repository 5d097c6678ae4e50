"""The kind `llm`: a language model behind a chat endpoint, with a prompt, a forced type, and tools.

This module reads what a document declares of one; the talking is in `conversation`. Must never
know: how an endpoint is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from stratarouter_runtime.agents.addresses import needing, read_url
from stratarouter_runtime.agents.headers import check_secrets, read_headers
from stratarouter_runtime.agents.kinds import Declaration
from stratarouter_runtime.agents.models import ROUNDS, Spec
from stratarouter_runtime.agents.prices import Price
from stratarouter_runtime.agents.secrets import REFERENCE
from stratarouter_runtime.agents.template import Template, read_template
from stratarouter_runtime.ids import AgentName
from stratarouter_runtime.tcfp.ir import Signature
from stratarouter_runtime.tcfp.loading.fields import AMOUNT, POSITIVE, Range, open_fields, text_of
from stratarouter_runtime.tcfp.text import Scalar

if TYPE_CHECKING:
    from stratarouter_runtime.agents.conversation import Model
    from stratarouter_runtime.agents.workshop import Workshop
    from stratarouter_runtime.tcfp.diagnostics import Diagnostics
    from stratarouter_runtime.tcfp.text import Node

FIELDS: Final = (
    *("url", "model", "key", "headers", "system", "prompt", "temperature", "max_tokens"),
    *("tools", "rounds", "stream", "price"),
)

_TEMPERATURE: Final = Range(0, 2)


class ModelSpec(Spec, frozen=True):
    """A model as declared, to be built."""

    def build(self, workshop: Workshop) -> Model:
        """The agent; connects with the first call. Raises `LinkError` where its tools do not fit."""
        from stratarouter_runtime.agents.conversation import Model  # noqa: PLC0415 - start-up cost

        return Model(self, workshop)


def read(declaration: Declaration) -> ModelSpec | None:
    """Reads the keys of this kind; None after a diagnostic."""
    fields = declaration.fields
    url = read_url(declaration)
    fields.need("model", "write model: and the name that the endpoint knows it by")
    fields.need("prompt", "write prompt: and a text with {{fields}} of the input")
    model, prompt = fields.text("model"), _template(declaration, "prompt")
    tools = fields.texts("tools") or ()
    rest: dict[str, Any] = {
        "system": _template(declaration, "system"),
        "key": _key(declaration),
        "headers": read_headers(declaration),
        "temperature": fields.number("temperature", _TEMPERATURE),
        "max_tokens": fields.integer("max_tokens", POSITIVE),
        "rounds": fields.integer("rounds", POSITIVE) or ROUNDS,
        "stream": fields.flag("stream"),
        "price": _price(fields.node("price"), fields.diagnostics),
    }
    if url is None or model is None or prompt is None:
        return None
    return ModelSpec(
        name=declaration.name,
        signature=_needing_tools(needing(declaration.signature, url), tools),
        url=url,
        model=model,
        prompt=prompt,
        version=declaration.version,
        uses=tuple(AgentName(tool) for tool in tools),
        hosts=declaration.hosts,
        **rest,
    )


def _template(declaration: Declaration, key: str) -> Template | None:
    node = declaration.fields.node(key)
    if node is None or declaration.fields.text(key) is None:
        return None
    assert isinstance(node, Scalar)
    return read_template(node, declaration.signature.input, declaration.fields.diagnostics)


def _key(declaration: Declaration) -> str:
    fields = declaration.fields
    entry = fields.entries.get("key")
    value = None if entry is None else text_of(entry.value, fields.diagnostics)
    if entry is None or value is None:
        return ""
    if REFERENCE.search(value) is None:
        hint = "write a reference: secret://env/NAME"
        fields.diagnostics.add("E134", entry.value.at, "a key does not stand in a document", hint)
        return ""
    return check_secrets(entry, value, declaration)


def _price(node: Node | None, diagnostics: Diagnostics) -> Price | None:
    fields = open_fields(node, "a price", ("in", "out"), diagnostics)
    if fields is None:
        return None
    return Price(fields.number("in", AMOUNT) or 0.0, fields.number("out", AMOUNT) or 0.0)


def _needing_tools(signature: Signature, tools: tuple[str, ...]) -> Signature:
    """The signature with the tools among what the agent needs, so that limits of tools are held against it."""
    needs = signature.needs
    return replace(signature, needs=replace(needs, tools=tuple(dict.fromkeys((*needs.tools, *tools)))))
