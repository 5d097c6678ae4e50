"""Source text to syntax tree: precedence climbing over the tokens, within fixed bounds.

The grammar is CEL's without unsigned numbers, messages and leading dots. Bounds: 4 KiB
of source; 32 levels, where a run of one kind of operator, or of fields and calls, is one
level, and 64 levels of nodes in all; macros in macros three deep.
Must never know types, scopes or code.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, cast

from stratarouter_runtime.tcfp.expressions import syntax
from stratarouter_runtime.tcfp.expressions.lexer import INT_MAX, SyntaxProblem, Token, tokens
from stratarouter_runtime.tcfp.expressions.syntax import BinaryOperator, MacroKind, Node

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_MACROS", "MAX_NODES_DEEP", "SyntaxProblem", "parse"]

MAX_BYTES: Final = 4096
MAX_DEPTH: Final = 32
MAX_NODES_DEEP: Final = 64
MAX_MACROS: Final = 3

MACROS: Final = frozenset({"map", "filter", "all", "exists", "exists_one"})
_PRECEDENCE: Final = {
    "||": 1, "&&": 2,
    "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "in": 3,
    "+": 4, "-": 4,
    "*": 5, "/": 5, "%": 5,
}  # fmt: skip
_WORDS: Final[dict[object, bool | None]] = {"true": True, "false": False, "null": None}


@lru_cache(maxsize=2048)
def parse(source: str) -> Node:
    """The tree of `source` (without the leading `=`); raises `SyntaxProblem`.

    Equal sources share one tree, so a flow that repeats a condition parses it once.
    """
    if len(source.encode(errors="surrogatepass")) > MAX_BYTES:
        raise SyntaxProblem(0, f"longer than {MAX_BYTES} bytes", "split it over several let steps", "E203")
    parser = _Parser(list(tokens(source)))
    node = parser.whole()
    if len(source) > MAX_DEPTH:  # every level takes a character at least
        _check_bounds(node)
    return node


class _Parser:
    """The tokens, and how far they are read. `_nested` guards the descent itself."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._nested = 0

    def whole(self) -> Node:
        node = self._expression()
        if self._peek().kind != "end":
            raise self._unexpected(self._peek())
        return node

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def _accept(self, symbol: str) -> Token | None:
        token = self._peek()
        if token.kind == "symbol" and token.value == symbol:
            self._at += 1
            return token
        return None

    def _expect(self, symbol: str) -> Token:
        token = self._accept(symbol)
        if token is None:
            raise self._unexpected(self._peek(), f"expected '{symbol}'")
        return token

    def _unexpected(self, token: Token, wanted: str = "") -> SyntaxProblem:
        what = "end" if token.kind == "end" else f"'{_shown(token)}'"
        return SyntaxProblem(token.offset, f"unexpected {what}" + (f", {wanted}" if wanted else ""))

    def _expression(self) -> Node:
        self._nested += 1
        if self._nested > MAX_NODES_DEEP:
            raise _too_deep(self._peek().offset)
        test = self._binary(1)
        question = self._accept("?")
        if question:
            then = self._binary(1)
            self._expect(":")
            test = syntax.Conditional(test, then, self._expression(), question.offset)
        self._nested -= 1
        return test

    def _binary(self, lowest: int) -> Node:
        left = self._unary()
        while True:
            token = self._peek()
            rank = _PRECEDENCE.get(str(token.value), 0) if token.kind == "symbol" else 0
            if rank < lowest:
                return left
            self._at += 1
            right = self._binary(rank + 1)
            left = syntax.Binary(cast("BinaryOperator", token.value), left, right, token.offset)

    def _unary(self) -> Node:
        signs: list[Token] = []
        while (sign := self._accept("!") or self._accept("-")) is not None:
            signs.append(sign)
        if signs and signs[-1].value == "-" and self._peek().kind in ("int", "float"):
            node = self._postfix(self._number(self._next(), signs.pop()))
        else:
            node = self._postfix(self._primary())
        for sign in reversed(signs):
            node = syntax.Unary("!" if sign.value == "!" else "-", node, sign.offset)
        return node

    def _number(self, token: Token, minus: Token | None = None) -> Node:
        value = cast("int | float", token.value)
        if isinstance(value, int) and value > INT_MAX + (minus is not None):
            raise SyntaxProblem(token.offset, f"{value} is not a 64-bit int", f"write {value}.0", "E202")
        return syntax.Literal(-value if minus else value, (minus or token).offset)

    def _primary(self) -> Node:
        token = self._next()
        match token.kind, token.value:
            case (("int" | "float"), _):
                return self._number(token)
            case (("string" | "bytes"), (str() | bytes())):
                return syntax.Literal(token.value, token.offset)
            case "name", name:
                return self._name(str(name), token.offset)
            case "symbol", ("true" | "false" | "null") as word:
                return syntax.Literal(_WORDS[word], token.offset)
            case "symbol", "(":
                node = self._expression()
                self._expect(")")
                return node
            case "symbol", "[":
                return syntax.ListLiteral(self._sequence("]"), token.offset)
            case "symbol", "{":
                return self._record(token.offset)
            case _:
                raise self._unexpected(token)

    def _name(self, name: str, offset: int) -> Node:
        if self._accept("("):
            return syntax.Call(name, None, self._sequence(")"), offset)
        return syntax.Name(name, offset)

    def _postfix(self, node: Node) -> Node:
        while True:
            if self._accept("."):
                node = self._member(node)
            elif bracket := self._accept("["):
                key = self._expression()
                self._expect("]")
                node = syntax.Index(node, key, bracket.offset)
            else:
                return node

    def _member(self, target: Node) -> Node:
        token = self._next()
        if token.kind == "quoted":
            return syntax.Field(target, str(token.value), token.offset)
        if token.kind != "name":
            raise self._unexpected(token, "expected a field or a function")
        name = str(token.value)
        if not self._accept("("):
            return syntax.Field(target, name, token.offset)
        arguments = self._sequence(")")
        if name in MACROS:
            return _macro(cast("MacroKind", name), target, arguments, token.offset)
        return syntax.Call(name, target, arguments, token.offset)

    def _sequence(self, closing: str) -> tuple[Node, ...]:
        """Nodes separated by commas, up to and with `closing`; a list may end in a comma."""
        found: list[Node] = []
        while not self._accept(closing):
            found.append(self._expression())
            if not self._accept(","):
                self._expect(closing)
                break
            if closing == ")" and self._peek().value == ")":
                raise self._unexpected(self._peek())
        return tuple(found)

    def _record(self, offset: int) -> Node:
        fields: dict[str, Node] = {}
        while not self._accept("}"):
            token = self._next()
            if token.kind not in ("name", "string", "quoted"):
                raise SyntaxProblem(token.offset, "the key of a record is a name or a string", code="E201")
            self._expect(":")
            if str(token.value) in fields:
                raise SyntaxProblem(token.offset, f"field {token.value!r} twice", "keep one of them", "E202")
            fields[str(token.value)] = self._expression()
            if not self._accept(","):
                self._expect("}")
                break
        return syntax.RecordLiteral(tuple(fields.items()), offset)


def _macro(kind: MacroKind, target: Node, arguments: tuple[Node, ...], offset: int) -> Node:
    most = 3 if kind == "map" else 2
    if not 2 <= len(arguments) <= most or not isinstance(arguments[0], syntax.Name):
        example = f"list.{kind}(x, …)"
        raise SyntaxProblem(
            offset, f"{kind} takes a name and an expression over it", f"write {example}", "E206"
        )
    where = arguments[1] if len(arguments) == 3 else None
    return syntax.Macro(kind, target, arguments[0].name, where, arguments[-1], offset)


def _check_bounds(root: Node) -> None:
    """Depths are counted without recursion: the source may be deeper than the stack."""
    pending: list[tuple[Node, int, int, int]] = [(root, 1, 1, 0)]
    while pending:
        node, depth, nodes, macros = pending.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(node.offset)
        if nodes > MAX_NODES_DEEP:
            raise SyntaxProblem(
                node.offset,
                f"more than {MAX_NODES_DEEP} operators in a row",
                "name a part in a let step",
                "E204",
            )
        inner = macros + isinstance(node, syntax.Macro)
        if inner > MAX_MACROS:
            raise SyntaxProblem(
                node.offset,
                f"macros nested deeper than {MAX_MACROS}",
                "name the inner list in a let step",
                "E205",
            )
        for i, child in enumerate(syntax.children(node)):
            same = i == 0 and _run(node) is not None and _run(node) == _run(child)
            under = macros if i == 0 else inner
            pending.append((child, depth + (not same), nodes + 1, under))


def _run(node: Node) -> object:
    """What makes a run of: the rank of a binary operator, or being a member of something."""
    match node:
        case syntax.Binary():
            return _PRECEDENCE[node.operator]
        case syntax.Field() | syntax.Index() | syntax.Call() | syntax.Macro():
            return "member"
        case _:
            return None


def _too_deep(offset: int) -> SyntaxProblem:
    return SyntaxProblem(
        offset, f"nested deeper than {MAX_DEPTH} levels", "name the inner part in a let step", "E204"
    )


def _shown(token: Token) -> str:
    return str(token.value)[:20]
