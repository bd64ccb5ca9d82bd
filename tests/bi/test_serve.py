"""What `make bi` says when something is not there, and that it hands on no password."""

from __future__ import annotations

from pathlib import Path

import pytest

from bi import __main__ as command
from bi import bundle, kept, postgres, serve
from perfhouse.errors import ConfigError
from perfhouse.settings import Home

METADATA, ADMIN = "PERFHOUSE_BI_METADATA", "AIRFLOW_CONN_PERFHOUSE_MART_ADMIN"


@pytest.fixture(autouse=True)
def nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("PERFHOUSE_URL_PERFHOUSE_MART_ADMIN", "SUPERSET_SECRET_KEY", "PERFHOUSE_BI_LOGIN_KEY")
    for name in (METADATA, ADMIN, "PERFHOUSE_BI_ADMIN_PASSWORD", *names):
        monkeypatch.delenv(name, raising=False)


def places(tmp_path: Path) -> serve.Places:
    settings = serve.Settings(Home(tmp_path), tmp_path)
    with serve._places(settings, serve._named(settings), print) as found:
        return found


def test_a_home_without_releases_is_told_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make run"):
        places(tmp_path)


@pytest.mark.parametrize("named", [METADATA, ADMIN])
def test_one_server_without_the_other_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv(named, "postgresql://somebody:hidden@db.example.com/x")
    with pytest.raises(ConfigError, match="or neither") as told:
        places(tmp_path)
    assert METADATA in str(told.value)
    assert ADMIN in str(told.value)
    assert "hidden" not in str(told.value)


def test_a_server_that_is_away_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql://somebody:hidden@127.0.0.1:1/x"
    monkeypatch.setenv(METADATA, url)
    monkeypatch.setenv(ADMIN, url)
    with pytest.raises(ConfigError, match=METADATA) as told:
        places(tmp_path)
    assert "hidden" not in str(told.value)


def test_what_is_named_may_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, held in (
        (METADATA, "postgresql://superset:hidden@db.example.com/superset\n"),
        ("PERFHOUSE_URL_PERFHOUSE_MART_ADMIN", "postgresql://admin:hidden@db.example.com/mart\n"),
        ("SUPERSET_SECRET_KEY", "of a file\n"),
    ):
        file = tmp_path / name
        file.write_text(held, encoding="utf-8")
        monkeypatch.setenv(f"{name}_FILE", str(file))
    named = serve._named(serve.Settings(Home(tmp_path), tmp_path))
    assert named is not None
    assert named.mart == "db.example.com:5432/mart"
    assert named.metadata.endswith("@db.example.com/superset")
    assert kept.secrets_of(tmp_path / "secrets.json")["secret_key"] == "of a file"


def test_the_place_of_the_mart_has_no_login_and_no_password() -> None:
    place = serve._place("postgresql://admin:hid%40den@db.example.com/mart?sslmode=verify-full")
    assert place == "db.example.com:5432/mart?sslmode=verify-full"


def test_postgresql_that_is_not_installed_is_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres.Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr(postgres.shutil, "which", lambda *_: None)
    with (
        pytest.raises(ConfigError, match="apt-get install postgresql"),
        postgres.running(tmp_path / "pg"),
    ):
        pass


def test_a_language_without_a_bundle_is_refused() -> None:
    with pytest.raises(ConfigError, match="zh, en"):
        bundle.archive("fr", "db:5432/mart")


def test_secrets_stay_the_same_and_with_their_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secrets.json"
    first = kept.secrets_of(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept.secrets_of(file) == first
    assert len({*first.values()}) == 3
    monkeypatch.setenv("PERFHOUSE_BI_LOGIN_KEY", "given")
    assert kept.secrets_of(file) == {**first, "login_key": "given"}


def test_the_command_ends_with_the_code_of_who_must_act(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["serve", "--home", str(tmp_path)]) == ConfigError.exit_code
    said = capsys.readouterr()
    assert "make run" in said.err
    assert "operator" in said.err
