from __future__ import annotations

from stratarouter_runtime.cli.session import Session


def test_a_command_that_goes_on_names_the_store_without_its_password() -> None:
    session = Session("postgresql://ann:word@host/db", "agents folder", place="postgresql://ann@host/db")
    assert session.command("resume", "exec_1") == (
        "strata resume exec_1 --agents 'agents folder' --store postgresql://ann@host/db"
    )


def test_a_command_of_the_store_of_the_settings_names_none() -> None:
    assert Session(None, None, place="here.db").command("show", "exec_1") == "strata show exec_1"
