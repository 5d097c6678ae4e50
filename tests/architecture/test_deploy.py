"""What stands in deploy/ names what exists: variables, ports, paths, commands, metrics. No engine runs here."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.architecture import source
from tools import dashboard

from stratarouter_runtime import settings
from stratarouter_runtime.api.app import ROUTES
from stratarouter_runtime.api.server import LAST_ANSWERS
from stratarouter_runtime.cli.app import COMMANDS
from stratarouter_runtime.observability.table import METRICS
from stratarouter_runtime.wiring import PATIENCE

DEPLOY: Final = source.ROOT / "deploy"
DOCKERFILE: Final = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
YAML: Final = sorted(path for path in DEPLOY.rglob("*") if path.suffix in {".yaml", ".yml"})
VARIABLES: Final = {each.variable for each in settings.SOURCES}
PATHS: Final = {path for path, _ in ROUTES}
FOREIGN: Final = {"PATH", "PGPASSWORD", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
"""Variables that others read: the system, the database's driver, Python."""

SAMPLES: Final = {
    sample
    for metric in METRICS
    for sample in (
        [f"{metric.family}{end}" for end in ("_bucket", "_sum", "_count")]
        if metric.kind == "histogram"
        else [metric.family]
    )
}


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def compose() -> dict[str, Any]:
    return documents(DEPLOY / "compose.yaml")[0]


def pod() -> dict[str, Any]:
    (found,) = [
        each for each in documents(DEPLOY / "kubernetes" / "runtime.yaml") if each["kind"] == "Deployment"
    ]
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return dict(found)


def of_image(word: str) -> list[str]:
    """What follows a word of the Dockerfile, with lines put together that belong together."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.removeprefix(word).strip() for line in joined.splitlines() if line.startswith(f"{word} ")]


def images() -> list[str]:
    built = {"stratarouter-runtime"}
    named = [line.split()[0] for line in of_image("FROM")]
    named += [service["image"] for service in compose()["services"].values()]
    return [name for name in [*named, container()["image"]] if name not in built]


def test_the_image_has_what_every_kind_of_agent_needs() -> None:
    project = tomllib.loads((source.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [extras] = re.findall(r"whl\)\[([a-z,]+)\]", DOCKERFILE)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert {"llm", "mcp", "sandbox", "wasm"} <= set(extras.split(","))


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_every_file_can_be_read(path: Path) -> None:
    assert all(isinstance(each, dict) for each in documents(path))


@pytest.mark.parametrize("name", images())
def test_no_image_names_a_registry_and_each_has_a_version(name: str) -> None:
    place, _, version = name.partition(":")
    assert version not in {"", "latest"}
    assert not re.search(r"[.:]|localhost", place.split("/")[0])


def test_the_image_sets_variables_that_are_read() -> None:
    (line,) = of_image("ENV")
    names = set(re.findall(r"(\w+)=", line))
    assert names - FOREIGN <= VARIABLES
    settings.load(dict(re.findall(r"(\w+)=(\S+)", line)), Path("none"))


def test_compose_and_kubernetes_set_variables_that_are_read() -> None:
    named = set(compose()["services"]["runtime"]["environment"])
    named |= {each["name"] for each in container()["env"]}
    assert named - FOREIGN <= VARIABLES


def test_the_address_of_the_database_is_one() -> None:
    url = compose()["services"]["runtime"]["environment"]["DATABASE_URL"]
    assert settings.load({"DATABASE_URL": url}, Path("none")).database_url == url
    assert "database" in compose()["services"]


@pytest.mark.parametrize(
    "arguments", [json.loads(of_image("CMD")[-1]), container()["args"]], ids=["image", "kubernetes"]
)
def test_the_command_exists(arguments: list[str]) -> None:
    assert arguments[0] in {command.name for command in COMMANDS}
    project = tomllib.loads((source.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert json.loads(of_image("ENTRYPOINT")[0]) == list(project["scripts"])


def test_one_port_is_named_everywhere() -> None:
    (port,) = of_image("EXPOSE")
    (line,) = of_image("ENV")
    assert f"SERVER_PORT={port}" in line
    assert f":{port}/" in DOCKERFILE.partition("HEALTHCHECK")[2]
    assert compose()["services"]["runtime"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert [each["containerPort"] for each in container()["ports"]] == [int(port)]
    (scraped,) = documents(DEPLOY / "prometheus" / "prometheus.yml")[0]["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": [f"runtime:{port}"]}]


def test_probes_ask_paths_that_answer() -> None:
    probes = [container()[f"{name}Probe"] for name in ("startup", "liveness", "readiness")]
    asked = {probe["httpGet"]["path"] for probe in probes}
    asked |= set(re.findall(r"8080(/\w+)", DOCKERFILE))
    asked |= {
        each["metrics_path"]
        for each in documents(DEPLOY / "prometheus" / "prometheus.yml")[0]["scrape_configs"]
    }
    assert asked == {"/livez", "/readyz", "/metrics"}
    assert asked <= PATHS


def test_the_end_has_the_time_it_needs() -> None:
    pause = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    needed = PATIENCE + LAST_ANSWERS
    assert pod()["terminationGracePeriodSeconds"] >= pause + needed + 5
    assert int(compose()["services"]["runtime"]["stop_grace_period"].removesuffix("s")) >= needed + 5


def test_nothing_runs_as_root_or_writes_to_its_root() -> None:
    (user,) = of_image("USER")
    assert user.split(":")[0] == str(pod()["securityContext"]["runAsUser"]) != "0"
    assert container()["securityContext"]["readOnlyRootFilesystem"]
    assert compose()["services"]["runtime"]["read_only"]
    written = {each["mountPath"] for each in container()["volumeMounts"]}
    assert written == {"/data", "/tmp"}  # noqa: S108 - of the container
    (line,) = of_image("ENV")
    for name in ("STRATA_STORE", "STRATA_PEPPER"):
        (place,) = re.findall(rf"{name}=(\S+)", line)
        assert str(Path(place).parent) in written


def test_the_pepper_is_put_where_it_is_looked_for() -> None:
    (first,) = pod()["initContainers"]
    (line,) = of_image("ENV")
    assert f"STRATA_PEPPER={first['command'][-1]} " in line
    assert first["command"][:2] == ["install", "--mode=600"]
    assert first["image"] == container()["image"]
    volumes = {each["name"]: each for each in pod()["volumes"]}
    mounts = {each["mountPath"]: each["name"] for each in first["volumeMounts"]}
    assert volumes[mounts[str(Path(first["command"][2]).parent)]]["secret"]["secretName"] == "strata-pepper"
    assert mounts["/data"] == "data"


def test_prometheus_comes_with_its_key_which_no_checkout_holds() -> None:
    (scraped,) = documents(DEPLOY / "prometheus" / "prometheus.yml")[0]["scrape_configs"]
    place = Path(scraped["authorization"]["credentials_file"])
    assert "./prometheus:/etc/prometheus:ro" in compose()["services"]["prometheus"]["volumes"]
    assert place == Path("/etc/prometheus/key")
    assert "deploy/prometheus/key" in (source.ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_what_the_image_copies_is_there_and_let_through() -> None:
    let = {line[1:] for line in (source.ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    for line in of_image("COPY"):
        names = line.split()[:-1]
        if not names[0].startswith("--from"):
            assert set(names) <= let
            assert all((source.ROOT / name).exists() for name in names)


def test_a_disruption_leaves_one_process_of_several() -> None:
    kinds = {each["kind"]: each for each in documents(DEPLOY / "kubernetes" / "runtime.yaml")}
    labels = kinds["Deployment"]["spec"]["selector"]["matchLabels"]
    assert kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["PodDisruptionBudget"]["spec"]["minAvailable"] < kinds["Deployment"]["spec"]["replicas"]


def test_volumes_that_are_mounted_exist() -> None:
    declared = set(compose()["volumes"])
    for service in compose()["services"].values():
        for volume in service["volumes"]:
            place = volume.split(":")[0]
            assert place in declared or place.startswith("$") or (DEPLOY / place).exists(), place


def test_the_dashboard_is_the_one_of_the_table() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text(), (
        "write it: python -m tools.dashboard"
    )


def test_the_dashboard_asks_for_every_metric_and_no_other() -> None:
    panels = [panel for panel in dashboard.build()["panels"] if panel["type"] != "row"]
    assert sorted(panel["description"] for panel in panels) == sorted(metric.family for metric in METRICS)
    asked = {name for panel in panels for each in panel["targets"] for name in _metrics(each["expr"])}
    assert asked <= SAMPLES


def test_alerts_ask_for_metrics_and_labels_that_exist() -> None:
    labels = {label for metric in METRICS for label in metric.labels} | {"instance", "le", "job"}
    for group in documents(DEPLOY / "prometheus" / "alerts.yml")[0]["groups"]:
        for rule in group["rules"]:
            assert _metrics(rule["expr"]) <= SAMPLES
            used = set(re.findall(r"(\w+)=~?\"", rule["expr"]))
            used |= {
                name.strip() for by in re.findall(r"by \(([^)]*)\)", rule["expr"]) for name in by.split(",")
            }
            used |= set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
            assert used <= labels, rule["alert"]


def _metrics(expression: str) -> set[str]:
    return set(re.findall(r"stratarouter_\w+", expression))
