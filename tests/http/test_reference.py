"""docs/api.md names every route, option, code and limit, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import msgspec
from tests.http.stage import ECHO, Client

from stratarouter_runtime.api import protocol
from stratarouter_runtime.api.app import ROUTES
from stratarouter_runtime.api.bodies import MAX_DEPTH, decode
from stratarouter_runtime.api.errors import KINDS
from stratarouter_runtime.api.exchange import LARGER, MAX_BODY
from stratarouter_runtime.api.models import ExecuteRequest, Options
from stratarouter_runtime.api.workflows import RESERVED
from stratarouter_runtime.settings import Settings

REFERENCE: Final = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def rows(pattern: str) -> list[tuple[str, ...]]:
    return re.findall(rf"^\| {pattern}", REFERENCE, re.MULTILINE)


def test_every_route_is_documented() -> None:
    real = {(method, path) for path, handlers in ROUTES for method in handlers}
    assert set(rows(r"`([A-Z]+) (/[^`]*)` \|")) == real


def test_every_code_is_documented_with_its_status() -> None:
    assert sorted(rows(r"(\d{3}) \| `([a-z-]+)` \|")) == sorted(
        (str(kind.status), code) for code, kind in KINDS.items()
    )


def test_every_option_is_documented() -> None:
    section = REFERENCE.split("## Execute")[1].split("### ")[0]
    documented = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert documented == {field.name for field in msgspec.structs.fields(Options)}
    assert all(f"`{name}`" in section for name in RESERVED - {"execute", "validate"})


def test_the_limits_are_those_in_force() -> None:
    limits = dict(re.findall(r"^\| ([\w ]+) \| ([^|]+?) \| \d{3} \|$", REFERENCE, re.MULTILINE))
    assert limits == {
        "body": f"{MAX_BODY // 2**20} MiB, counted as it arrives",
        "body of a batch": f"{LARGER['/api/v1/batch/submit'] // 2**20} MiB, counted as it arrives",
        "nesting of JSON": f"{MAX_DEPTH} levels",
        "integers in JSON": "±(2^53-1)",
        "request line and headers": f"{protocol.MAX_HEAD // 1024} KiB",
        "time for the headers to arrive": f"{protocol.HEAD_SECONDS:g} s",
        "time for the body to arrive": f"{protocol.BODY_SECONDS:g} s",
        "open connections": f"{Settings().connections}, [a setting](cli.md#settings)",
    }


def test_how_long_an_answer_may_stand_is_that_in_force() -> None:
    assert f"takes nothing of its answer for {protocol.STALLED_SECONDS:g} s" in REFERENCE


async def test_the_examples_are_what_is_taken_and_given(quick: Client) -> None:
    request, answer, step, problem = re.findall(r"```json\n(.*?)```", REFERENCE, re.DOTALL)
    assert decode(request.encode(), ExecuteRequest).workflow_id == "my-workflow"
    await quick.deploy("my-workflow", ECHO)
    given = (await quick.post(request.encode())).json()
    assert set(given) == set(json.loads(answer))
    found = (await quick.http.get(f"/api/v1/executions/{given['execution_id']}")).json()
    assert set(found["steps"][0]) == set(json.loads(step))
    wrong = (await quick.post(request.replace('"Hello"', "1").encode())).json()
    documented = json.loads(problem)
    assert set(wrong) == set(documented)
    assert (wrong["code"], wrong["errors"][0]["pointer"]) == ("invalid-input", "/input/query")
