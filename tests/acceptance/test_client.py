"""The Python client against a server process: all it can do, for a thread and for asyncio, and a kill in the middle."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.acceptance.service import FLOW, Service, furnish, serving

from stratarouter_runtime.client import AsyncClient, Client, Refused

HOLDING: Final = FLOW.replace("my-workflow", "holding").replace("note", "hold")
AGENT: Final = "kind: http\nurl: https://example.com/greet\nin: {name: string}\nout: string\neffect: pure\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(furnish(tmp_path_factory.mktemp("project")), "--dev", "--port", "0") as service:
        yield service


def test_a_thread_does_all_there_is(service: Service) -> None:
    with Client(service.url) as client:
        assert client.validate(FLOW).valid
        client.deploy("mine", FLOW)
        assert {"mine", "my-workflow"} <= {each.workflow_id for each in client.workflows()}
        done = client.execute("mine", {"query": "hi"}, key="one")
        assert done.result() == {"answer": "HI"}
        assert [fact.kind for fact in client.events(done.execution_id)][-1] == "finished"
        assert client.feedback(done.execution_id, answer="good").execution_id == done.execution_id
        batch = client.submit([("mine", {"query": str(number)}) for number in range(20)])
        assert [told.ended for told in client.progress(batch.id)][-1]
        told = client.wait_batch(batch.id)
        assert [item.output for item in told.items] == [{"answer": str(number)} for number in range(20)]
        with pytest.raises(Refused, match="409 invalid-state"):
            client.cancel_batch(batch.id)
        assert len(list(client.executions(workflow="mine", status=["completed"]))) == 21
        assert client.register("greeter", AGENT).kind == "http"
        assert {"greeter", "note"} <= {each.name for each in client.agents()}
        assert client.agent("greeter").source == AGENT
        client.remove_agent("greeter")
        rules = client.put_rules(
            {"name": "a", "prefix": "b", "agent": "note"}, {"name": "c", "prefix": "d", "agent": "hold"}
        )
        assert rules == client.rules()
        assert [rule.name for rule in client.remove_rules("a").rules] == ["c"]
        assert client.cache_stats().spaces is not None
        assert client.invalidate("mine", dry_run="true").dry_run
        assert client.usage().ever.executions >= 21
        assert client.usage_of("mine").ever.executions == 21
        assert client.status().version
        client.retire("mine")
        with pytest.raises(Refused, match="404 not-found"):
            client.workflow("mine")


async def test_a_loop_does_all_there_is(service: Service) -> None:
    async with AsyncClient(service.url) as client:
        await client.deploy("ours", FLOW)
        heard = client.changes()
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0.5)
        begun = await client.start("ours", {"query": "hi"})
        assert (await first).execution_id == begun.execution_id
        assert (await client.wait(begun.execution_id)).result() == {"answer": "HI"}
        batch = await client.submit([("ours", {"query": str(number)}) for number in range(5)])
        assert [told.ended async for told in client.progress(batch.id)][-1]
        assert [each.status async for each in client.executions(workflow="ours")] == ["completed"] * 6
        assert "ours" in [each.workflow_id async for each in client.workflows()]
        assert (await client.usage_of("ours")).ever.completed == 6


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def test_a_server_that_is_killed_in_the_middle_makes_no_second_execution(tmp_path: Path) -> None:
    project = furnish(tmp_path)
    (project / "flows").mkdir()
    (project / "flows" / "holding.yaml").write_text(HOLDING)
    said: list[object] = []
    with serving(project, "--dev", "--port", "0") as first:
        client = Client(first.url)
        calling = threading.Thread(
            target=lambda: said.append(client.execute("holding", {"query": "q"}).result())
        )
        calling.start()
        until((project / "noted").exists)
        first.process.kill()
        first.process.wait(30)
        (project / "go").touch()
        with serving(project, "--dev", "--port", str(first.port)) as second:
            calling.join(30)
            assert said == [{"answer": "q!"}]
            found = list(client.executions(workflow="holding"))
            assert len(found) == 1
            assert second.process.poll() is None
        client.close()


def test_the_example_of_the_readme_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    flow = re.search(r"`greet.yaml`:\n\n```yaml\n(.*?)```", readme, re.DOTALL)
    example = re.search(r"```python\n(from stratarouter_runtime.client.*?)```", readme, re.DOTALL)
    assert flow is not None
    assert example is not None
    (tmp_path / "flow.yaml").write_text(flow[1])
    with serving(tmp_path, "--dev", "--port", "0") as service:
        told: dict[str, object] = {}
        exec(example[1].replace("http://127.0.0.1:8080", service.url), told)  # noqa: S102 - our own words
    assert told["greeting"] == "hello, Ada"
    assert capsys.readouterr().out.splitlines()[-1] == "{'completed': 2}"
