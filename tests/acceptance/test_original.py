"""The endpoints that the runtime has always had, as its users call them, against `strata serve --dev`."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from tests.acceptance.commandline import WAIT
from tests.acceptance.service import Service, furnish, serving

BODY: Final = """{ "workflow_id": "my-workflow",
  "input": { "query": "Hello" },
  "options": { "enable_cache": true, "timeout_seconds": 60 } }"""

RULES: Final = {"rules": [{"name": "bills", "prefix": "invoice", "agent": "note"}]}
AGENT: Final = {
    "name": "greeter",
    "source": "kind: http\nurl: https://example.com/greet\nin: {name: string}\nout: string\neffect: pure\n",
}

ENDPOINTS: Final[tuple[tuple[str, str, Any, int], ...]] = (
    ("GET", "/api/v1/workflows/my-workflow/executions", None, 200),
    (
        "POST",
        "/api/v1/batch/submit",
        {"items": [{"workflow_id": "my-workflow", "input": {"query": "a"}}]},
        202,
    ),
    ("GET", "/api/v1/cache/stats", None, 200),
    ("DELETE", "/api/v1/cache/my-workflow/invalidate", None, 200),
    ("GET", "/api/v1/agents", None, 200),
    ("GET", "/api/v1/usage/stats", None, 200),
    ("GET", "/api/v1/usage/workflows/my-workflow", None, 200),
    ("GET", "/api/v1/health", None, 200),
    ("GET", "/api/v1/status", None, 200),
    ("GET", "/metrics", None, 200),
)
"""All but executing, reading one, and registering, which need more said."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(furnish(tmp_path_factory.mktemp("project")), "--dev", "--port", "0") as service:
        yield service


def test_the_example_works_with_curl(service: Service) -> None:
    url = f"{service.url}/api/v1/workflows/execute"
    done = subprocess.run(  # noqa: S603 - the very line that a reader copies
        ["curl", "-sS", "-X", "POST", url, "-H", "Content-Type: application/json", "-d", BODY],  # noqa: S607 - whichever there is
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["output"]) == ("completed", {"answer": "HELLO"})
    found = httpx2.get(f"{service.url}/api/v1/executions/{answer['execution_id']}").json()
    assert (found["status"], found["output"]) == ("completed", {"answer": "HELLO"})
    assert [step["agent"] for step in found["steps"]] == ["note"]


@pytest.mark.parametrize(("method", "path", "body", "status"), ENDPOINTS)
def test_every_endpoint_answers(service: Service, method: str, path: str, body: Any, status: int) -> None:
    response = httpx2.request(method, service.url + path, **({} if body is None else {"json": body}))
    assert response.status_code == status, response.text
    assert response.content


def test_agents_and_rules_are_added(service: Service) -> None:
    made = httpx2.post(f"{service.url}/api/v1/agents", json=AGENT)
    assert made.status_code == 201, made.text
    assert "greeter" in {each["name"] for each in httpx2.get(f"{service.url}/api/v1/agents").json()["agents"]}
    rules = httpx2.post(f"{service.url}/api/v1/routing/rules", json=RULES)
    assert rules.status_code == 200, rules.text


def test_at_rest_it_takes_little_memory(tmp_path: Path) -> None:
    with serving(furnish(tmp_path), "--dev", "--port", "0") as service:
        told = Path(f"/proc/{service.process.pid}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", told)
        assert resident is not None
        assert int(resident[1]) / 1024 <= 80
        assert service.terminate() == 0
