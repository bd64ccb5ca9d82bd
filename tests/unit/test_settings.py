from __future__ import annotations

import stat
from pathlib import Path

import pytest

from perfhouse import settings
from perfhouse.errors import ConfigError
from perfhouse.month import Month
from perfhouse.settings import Home


def test_a_home_has_its_folders_and_keeps_all_but_the_published_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.gates.mkdir(parents=True)
    home.gates.chmod(0o755)  # as an earlier version made it
    home.ensure().ensure()
    private = (home.raw, home.archive, home.quarantine, home.manifests, home.gates, home.dbt,
               home.tmp, home.logs, home.secrets)  # fmt: skip
    assert {f.name: stat.S_IMODE(f.stat().st_mode) for f in private} == {
        f.name: 0o700 for f in private
    }
    assert stat.S_IMODE(home.published.stat().st_mode) & 0o055 == 0o055


def test_the_customer_key_is_made_once_and_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERFHOUSE_CUSTOMER_KEY", raising=False)
    home = Home(tmp_path)
    key = settings.customer_key(home)
    assert len(key) == 32
    assert settings.customer_key(home) == key
    file = tmp_path / "secrets" / "customer.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [f.name for f in file.parent.iterdir()] == ["customer.key"]


def test_the_customer_key_of_the_environment_wins_and_is_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERFHOUSE_CUSTOMER_KEY", "k" * 16)
    assert settings.customer_key(Home(tmp_path)) == b"k" * 16
    monkeypatch.setenv("PERFHOUSE_CUSTOMER_KEY", "s3cret")
    with pytest.raises(ConfigError) as caught:
        settings.customer_key(Home(tmp_path))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "url"),
    [
        ("AIRFLOW_CONN_HELP_DESK", "postgres://u:p@h/db", "postgresql://u:p@h/db"),
        ("PERFHOUSE_URL_HELP_DESK", "sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        (
            "AIRFLOW_CONN_HELP_DESK",
            '{"conn_type": "mysql", "login": "u", "password": "p@", "host": "h", "port": 3306, '
            '"schema": "db", "extra": {"charset": "utf8mb4"}}',
            "mysql://u:p%40@h:3306/db?charset=utf8mb4",
        ),
        (
            "AIRFLOW_CONN_HELP_DESK",
            "postgres://u:p%40@h:5432/db?__extra__=%7B%22sslmode%22%3A+%22require%22%7D",
            "postgresql://u:p%40@h:5432/db?sslmode=require",
        ),
    ],
)
def test_a_connection_is_found_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, url: str
) -> None:
    monkeypatch.setenv(name, text)
    assert settings.connection_url("help-desk") == url


def test_a_missing_connection_names_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_NOWHERE", raising=False)
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_NOWHERE or PERFHOUSE_URL_NOWHERE"):
        settings.connection_url("nowhere")


def test_the_environment_of_dbt_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERFHOUSE_MONTH", "before")
    monkeypatch.delenv("PERFHOUSE_AS_OF", raising=False)
    with settings.dbt_environment(Home(tmp_path), Month("2026-09"), Month("2026-11")):
        inside = settings.child_environment()
    after = settings.child_environment()
    assert inside["PERFHOUSE_MONTH"] == "2026-09"
    assert inside["PERFHOUSE_MONTH_END"] == "2026-10-01"
    assert inside["PERFHOUSE_AS_OF"] == "2026-11"
    assert after["PERFHOUSE_MONTH"] == "before"
    assert "PERFHOUSE_AS_OF" not in after


def test_the_checkout_holds_the_project_and_a_wrong_path_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PERFHOUSE_DBT_PROJECT", raising=False)
    assert settings.project_dir().name == "dbt_project"
    monkeypatch.setenv("PERFHOUSE_DBT_PROJECT", "/nowhere/at/all")
    with pytest.raises(ConfigError, match="PERFHOUSE_DBT_PROJECT: expected the folder"):
        settings.project_dir()


def test_threads_must_be_a_whole_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFHOUSE_THREADS", "two")
    with pytest.raises(ConfigError, match="PERFHOUSE_THREADS"):
        settings.threads()


@pytest.mark.parametrize(
    "text",
    [
        "https://me%40x.test:s%2Fcret@desk.test:8443/api?region=eu&__extra__=",
        '{"conn_type": "https", "login": "me@x.test", "password": "s/cret", "host": "desk.test", '
        '"port": 8443, "schema": "api", "extra": "{\\"region\\": \\"eu\\"}"}',
        "https://me%40x.test:s%2Fcret@desk.test:8443/api?__extra__=%7B%22region%22%3A%20%22eu%22%7D",
    ],
)
def test_a_connection_is_read_in_parts_and_shows_none_of_them(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DESK", text)
    found = settings.connection("desk")
    parts = (found.kind, found.login, found.password, found.host, found.port, found.schema)
    assert parts == ("https", "me@x.test", "s/cret", "desk.test", 8443, "api")
    assert found.extra == {"region": "eu"}
    assert repr(found) == str(found) == "Connection('desk')"


@pytest.mark.parametrize("text", ["no-url", '{"host": "s/cret"}', "https://h:s/cret/x"])
def test_a_connection_that_cannot_be_read_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DESK", text)
    with pytest.raises(ConfigError, match="connection 'desk'") as wrong:
        settings.connection("desk")
    assert "cret" not in str(wrong.value)


def test_a_store_is_asked_after_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = {"vault": settings.Connection("vault", "https", host="vault.test")}
    monkeypatch.setattr(settings, "_stores", [])
    settings.ask_for_connections(stored.get)
    assert settings.connection("vault").host == "vault.test"
    assert settings.connection_url("vault") == "https://vault.test/"
    monkeypatch.setenv("AIRFLOW_CONN_VAULT", "https://nearer.test")
    assert settings.connection("vault").host == "nearer.test"


def test_a_store_that_calls_postgresql_by_another_name_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Airflow turns `postgresql` into `postgres`, which no library takes."""
    stored = {"mart": settings.Connection("mart", "postgres", "h", schema="db", login="u")}
    monkeypatch.setattr(settings, "_stores", [stored.get])
    assert settings.connection_url("mart") == "postgresql://u@h/db"


def test_a_secret_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 16 + "\n", encoding="utf-8")
    monkeypatch.setenv("PERFHOUSE_CUSTOMER_KEY_FILE", str(file))
    monkeypatch.delenv("PERFHOUSE_CUSTOMER_KEY", raising=False)
    assert settings.customer_key(Home(tmp_path)) == b"k" * 16
    desk = tmp_path / "desk"
    desk.write_text("postgresql://u:p@h/db", encoding="utf-8")
    monkeypatch.setenv("PERFHOUSE_URL_HELP_DESK_FILE", str(desk))
    assert settings.connection("help-desk").password == "p"


def test_a_secret_file_that_is_gone_or_doubled_is_refused_and_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another key made in its place would part this month's customers from earlier months'."""
    monkeypatch.delenv("PERFHOUSE_CUSTOMER_KEY", raising=False)
    monkeypatch.setenv("PERFHOUSE_CUSTOMER_KEY_FILE", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match=r"CUSTOMER_KEY_FILE: cannot read .*gone: No such file"):
        settings.customer_key(Home(tmp_path))
    (tmp_path / "empty").touch()
    monkeypatch.setenv("PERFHOUSE_CUSTOMER_KEY_FILE", str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match=r"CUSTOMER_KEY_FILE: .*empty is empty"):
        settings.customer_key(Home(tmp_path))
    monkeypatch.setenv("PERFHOUSE_CUSTOMER_KEY", "a" * 16)
    with pytest.raises(ConfigError, match="got both") as caught:
        settings.customer_key(Home(tmp_path))
    assert "aaaa" not in str(caught.value)


def test_a_process_that_needs_no_secret_gets_none() -> None:
    kept = {"PATH": "/bin", "PERFHOUSE_HOME": "data", "AIRFLOW__CORE__EXECUTOR": "LocalExecutor"}
    secret = {"AIRFLOW_CONN_DESK": "a", "PERFHOUSE_URL_DESK": "b", "PERFHOUSE_CUSTOMER_KEY": "c"}
    secret |= {f"{name}_FILE": "/run/secrets/x" for name in secret}
    assert settings.without_secrets({**kept, **secret}) == kept
