from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stratarouter_runtime.errors import InvalidSetting
from stratarouter_runtime.settings import SOURCES, Settings, explain, load, place_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "local.toml"


def test_without_a_file_or_environment_the_defaults_hold(file: Path) -> None:
    assert load({}, file) == Settings()


def test_the_environment_overrides_the_file(file: Path) -> None:
    file.write_text('[server]\nhost = "0.0.0.0"\nport = 1\n[store]\npath = "a b/c.db"\n')
    got = load({"SERVER_PORT": "9000", "LOG_LEVEL": "INFO", "SERVER_HOST": ""}, file)
    assert got == Settings(host="0.0.0.0", port=9000, store=Path("a b/c.db"))  # noqa: S104 - only read back


def test_every_fault_is_reported_at_once(file: Path) -> None:
    file.write_text('[server]\nprot = 1\nport = 70000\n[log]\nlevel = "loud"\n[spam]\nx = 1\n')
    with pytest.raises(InvalidSetting) as caught:
        load({"STRATA_ENCODER": "gpt"}, file)
    message = caught.value.message
    assert "server.prot: no such setting (did you mean 'server.port'?)" in message
    assert "server.port = 70000" in message
    assert "log.level = 'loud'" in message
    assert "spam.x: no such setting" in message
    assert "STRATA_ENCODER = 'gpt'" in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SERVER_PORT", "http"), ("SERVER_PORT", "-1"), ("SERVER_PORT", "65536"), ("LOG_LEVEL", "verbose")],
)
def test_a_value_that_does_not_fit_is_refused(file: Path, variable: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{variable} = "):
        load({variable: value}, file)


@pytest.mark.parametrize(
    ("variable", "known"), [("STRATA_ENCODER", "one of minilm, "), ("STRATA_CACHE", "one of true, false")]
)
def test_a_setting_of_few_words_names_them(file: Path, variable: str, known: str) -> None:
    with pytest.raises(InvalidSetting, match=known):
        load({variable: "perhaps"}, file)


@pytest.mark.parametrize("text", ["port = ", "[server", "\udcff"])
def test_a_file_that_is_no_toml_is_refused(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidSetting, match="cannot be read"):
        load({}, file)


def test_a_path_must_be_text(file: Path) -> None:
    file.write_text("[store]\npath = 5\n")
    with pytest.raises(InvalidSetting, match=r"store\.path = 5"):
        load({}, file)


def test_a_secret_is_not_shown_even_where_it_does_not_fit(file: Path) -> None:
    file.write_text('[database]\nurl = ["postgresql://ann:sesame@host/db"]\n')
    with pytest.raises(InvalidSetting, match=r"database\.url = \(hidden\)") as caught:
        load({}, file)
    assert "sesame" not in caught.value.message


def test_every_field_can_be_set_in_both_ways() -> None:
    names = [field.name for field in msgspec.structs.fields(Settings)]
    assert [source.field for source in SOURCES] == [name for name in names if name != "tiers"]
    assert (
        len({source.key for source in SOURCES})
        == len({source.variable for source in SOURCES})
        == len(SOURCES)
    )


def test_tiers_are_tables_of_the_file(file: Path) -> None:
    file.write_text('[limits]\ntier = "pro"\n[limits.tiers.pro]\nconcurrent = 50\nseconds = 60\n')
    got = load({}, file)
    assert (got.tier, len(got.tiers)) == ("pro", 1)
    assert (got.tiers[0].name, got.tiers[0].concurrent, got.tiers[0].daily) == ("pro", 50, None)


@pytest.mark.parametrize(
    "text",
    [
        "[limits.tiers.free]\ndaily = 1",
        "[limits.tiers.Pro]\ndaily = 1",
        "[limits.tiers.pro]\ndayly = 1",
        "[limits.tiers.pro]\ndaily = -1",
        '[limits.tiers.pro]\ndaily = "many"',
        "[limits]\ntiers = 5",
        "[limits.tiers]\npro = 5",
    ],
)
def test_what_is_no_tier_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidSetting, match="limits"):
        load({}, file)


def test_each_setting_says_where_it_came_from(file: Path) -> None:
    file.write_text("[server]\nport = 1\n[limits.tiers.pro]\ndaily = 2\n")
    shown = {each.key: (each.value, each.origin) for each in explain({"SERVER_HOST": "::1"}, file)}
    assert shown["server.port"] == ("1", str(file))
    assert shown["server.host"] == ("::1", "environment: SERVER_HOST")
    assert shown["log.level"] == ("info", "default")
    assert shown["limits.tiers.pro.daily"] == ("2", str(file))
    assert explain({"DATABASE_URL": "postgresql://a:b@c/d"}, file)[1].value == "(hidden)"


@pytest.mark.parametrize(
    ("named", "place"),
    [
        (None, "postgresql://a:b@c/d"),
        ("postgres://h/db", "postgres://h/db"),
        ("some/file.db", Path("some/file.db")),
        (Path("postgresql:"), Path("postgresql:")),
    ],
)
def test_a_store_is_a_file_or_a_database(named: Path | str | None, place: Path | str) -> None:
    assert place_of(Settings(database_url="postgresql://a:b@c/d"), named) == place


def test_the_url_of_anything_else_is_no_file() -> None:
    with pytest.raises(InvalidSetting, match="no other URL") as caught:
        place_of(Settings(), "mysql://user:word@host/db")
    assert "word" not in str(caught.value)
