"""Finds the agents of a project: Python functions and declared services, by file or by module.

A project is a folder: `agents.py`, or the package `agents/`, holds functions decorated with
`agent`; `agents.yaml` and `agents/*.yaml` declare others. Whatever is wrong with them is
told with file and line. Must never know: which flows call the agents.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

from stratarouter_runtime.agents.assembling import assemble
from stratarouter_runtime.agents.declared import read_declared
from stratarouter_runtime.agents.process import Origin, process_agent
from stratarouter_runtime.agents.python import PythonAgent, PythonGroup
from stratarouter_runtime.agents.registry import Registry
from stratarouter_runtime.agents.threads import Threads
from stratarouter_runtime.agents.workshop import Workshop
from stratarouter_runtime.builder.agents import AgentDefinition, definition_of
from stratarouter_runtime.canonical import digest_bytes
from stratarouter_runtime.errors import LinkError, NotFound, StrataError
from stratarouter_runtime.ports import Agent

_PYTHON: Final = ("agents.py", "agents/__init__.py")
_DOCUMENTS: Final = ("agents.yaml", "agents.yml", "agents.json", "agents/*.yaml", "agents/*.yml")


def load_project(folder: Path, workshop: Workshop) -> Registry:
    """All agents of the project in `folder`; none where it has none. Raises `LinkError`."""
    threads = Threads()
    functions: list[Agent] = [
        _function(definition, Origin(path), threads, workshop)
        for path in _existing(folder, _PYTHON)
        for definition in definitions(load_file(path))
    ]
    declared = [
        blueprint
        for path in _existing(folder, _DOCUMENTS)
        for blueprint in read_declared(path, workshop.secrets)
    ]
    return Registry(assemble(functions, declared, workshop), holding=(threads,), workshop=workshop)


def load_module(name: str, workshop: Workshop) -> Registry:
    """The agents of an importable module. Raises `NotFound` and `LinkError`."""
    threads = Threads()
    module = _imported(name, lambda: importlib.import_module(name))
    agents: list[Agent] = [
        _function(definition, Origin(module=name), threads, workshop) for definition in definitions(module)
    ]
    return Registry(assemble(agents, [], workshop), holding=(threads,), workshop=workshop)


def _function(definition: AgentDefinition, origin: Origin, threads: Threads, workshop: Workshop) -> Agent:
    if definition.isolation == "process":
        return process_agent(definition, origin, workshop)
    if definition.batch is not None:
        return PythonGroup(
            definition, definition.batch, threads, workshop.clock, max_output=workshop.max_output
        )
    return PythonAgent(definition, threads, workshop.clock, max_output=workshop.max_output)


def definitions(module: ModuleType) -> list[AgentDefinition]:
    """The agents of a module, in the order of their names there; also those it has imported."""
    found = {
        id(definition): definition
        for value in vars(module).values()
        if (definition := definition_of(value)) is not None
    }
    return list(found.values())


def _existing(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(path for path in folder.glob(pattern) if path.is_file())


def load_file(path: Path) -> ModuleType:
    """The module of a file, named after its place, so that projects do not meet in `sys.modules`.

    The folder is its package: siblings are imported by `from .sibling import …`.
    """
    path = path.resolve()
    folder = path.parent.parent if path.name == "__init__.py" else path.parent
    package = f"strata_project_{digest_bytes(bytes(folder))[:12]}"
    if package not in sys.modules:
        spec = ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[package] = module_from_spec(spec)
    name = f"{package}.agents"
    sys.modules.pop(name, None)
    return _imported(str(path), lambda: _executed(name, path))


def _executed(name: str, path: Path) -> ModuleType:
    search = [str(path.parent)] if path.name == "__init__.py" else None
    spec = spec_from_file_location(name, path, submodule_search_locations=search)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = module_from_spec(spec)
    # There while it runs, because annotations are resolved in the module of that name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _imported(what: str, importing: Callable[[], ModuleType]) -> ModuleType:
    try:
        return importing()
    except ModuleNotFoundError as error:
        if error.name is not None and f"{what}.".startswith(f"{error.name}."):
            raise NotFound(
                f"there is no module '{error.name}'", hint="install it, or run where it can be imported"
            ) from None
        raise _broken(what, error) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the code of a project may raise anything
        raise _broken(what, error) from None


def _broken(what: str, error: BaseException) -> LinkError:
    told = error.message if isinstance(error, StrataError) else f"{type(error).__name__}: {error}"
    hint = error.hint if isinstance(error, StrataError) else None
    return LinkError(f"agents cannot be loaded: {_where(what, error)}: {told}", hint=hint)


def _where(what: str, error: BaseException) -> str:
    """File and line of the project's own code that led to the error."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else what


def _is_own(filename: str) -> bool:
    """Whether a frame is neither of this package nor of the import machinery."""
    return not filename.startswith("<frozen ") and not Path(filename).is_relative_to(_PACKAGE)


_PACKAGE: Final = Path(__file__).resolve().parent.parent
