"""Others' SQL: what a question, a mapping's expression or a KPI may reach, which is no file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import jinja2
import pytest
import yaml
from own_kpi import TOP_SCORE_RATE

from connectors import casting
from perfhouse import kpi_files, settings, warehouse
from perfhouse.errors import ConfigError

ESCAPES = (
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/pass*')",
    "select * from '/etc/passwd'",
    "select * from glob('/etc/*')",
    "select * from (select * from (from read_csv_auto('/etc/hosts')))",
    "with a as materialized (from read_text('/etc/hosts')) select * from a",
    "attach '{folder}/other.duckdb' as other",
    "attach '{folder}/new.duckdb' as new; create table new.t as select 1",
    "copy (select 1) to '{folder}/stolen.csv'",
    "copy t to '{folder}/stolen.parquet' (format parquet)",
    "export database '{folder}/stolen'",
    "install httpfs",
    "load httpfs",
    "install shellfs from community",
    "select * from read_csv('https://example.com/x.csv')",
    "select * from 's3://bucket/x.parquet'",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "reset lock_configuration",
    "pragma enable_external_access = true",
    "set allowed_directories = ['/']",
    "set extension_directory = '{folder}'",
    "set secret_directory = '{folder}'",
    "set log_query_path = '{folder}/log'",
    "set temp_directory = '{folder}'",
    "set custom_user_agent = 'x'",
    "create secret (type s3, key_id 'a', secret 'b')",
    "select getenv('HOME')",
    "create table t2 as select 1",
    "insert into t values (2)",
    "drop table t",
    "select * from hidden",
    "select 1; select * from read_text('/etc/passwd')",
)
# What would make an expression something else than a value of one row.
FOREIGN = (
    "(select 1)",
    "(select content from read_text('/etc/passwd'))",
    "exists (select 1)",
    "score in (select 1)",
    "array(select 1)",
    "getenv('HOME')",
    "current_setting('secret_directory')",
    "getvariable('hmac_inner')",
    "read_text('/etc/passwd')",
    "query('select 1')",
    "random()",
    "now()",
    "columns(*)",
    "count(*) over ()",
    "$1",
    "1) from read_text('/etc/passwd'); --",
    "1; drop table x",
    "1 union select 2",
    "score) /* ",
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("closed") / "scores.duckdb"
    with warehouse.connect(path) as con:
        con.execute("create table t as select 41 + 1 as answer")
    with warehouse.connect(path.with_name("other.duckdb")) as con:
        con.execute("create table t as select 'secret' as told")
    return path


def test_a_question_to_what_is_published_is_answered(database: Path) -> None:
    assert "42" in warehouse.answer(database, "select answer from t")


@pytest.mark.parametrize("sql", ESCAPES)
def test_a_question_reaches_no_file_no_network_and_no_setting(database: Path, sql: str) -> None:
    before = {p: p.read_bytes() for p in database.parent.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match="Error"):
        warehouse.answer(database, sql.format(folder=database.parent))
    after = {p: p.read_bytes() for p in database.parent.rglob("*") if p.is_file()}
    assert after == before


def test_a_closed_engine_reaches_the_folders_it_was_given_and_nothing_beside(
    tmp_path: Path,
) -> None:
    inside, outside = tmp_path / "it's inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.csv").write_text("a\n1\n", encoding="utf-8")
    with warehouse.connect() as con:
        warehouse.lock(con, inside)
        assert con.execute("from read_csv(?)", [str(inside / "a.csv")]).fetchall() == [(1,)]
        for path in (outside / "a.csv", inside / ".." / "outside" / "a.csv", Path("/etc/hosts")):
            with pytest.raises(duckdb.PermissionException):
                con.execute("from read_text(?)", [str(path)])
        with pytest.raises(duckdb.InvalidInputException):
            con.cursor().execute("set allowed_directories = ['/']")


@pytest.mark.parametrize("expression", FOREIGN)
def test_an_expression_of_a_mapping_is_a_value_of_one_row(expression: str) -> None:
    with warehouse.connect() as con, pytest.raises(ConfigError, match="here: expected"):
        casting.references(con, expression, "here")


@pytest.mark.parametrize("expression", FOREIGN)
def test_an_expression_of_a_kpi_is_a_value_of_one_row(tmp_path: Path, expression: str) -> None:
    quoted = expression.replace("'", "''")
    text = TOP_SCORE_RATE.replace(
        "expr: case when is_csat_rated then 1 else 0 end", f"expr: '{quoted}'"
    )
    assert any("expr: expected" in problem for problem in problems_of(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        TOP_SCORE_RATE.replace("name_en: Top scores", "name_en: \"{{ env_var('HOME') }}\""),
        TOP_SCORE_RATE.replace("label: above", 'label: "{% do 1 %}"'),
        TOP_SCORE_RATE.replace("expr: response_key", "expr: \"{{ env_var('HOME') }}\""),
        TOP_SCORE_RATE.replace("definition_zh: ", "definition_zh: '{# x #}'  # "),
    ],
)
def test_a_kpi_file_is_no_template(tmp_path: Path, text: str) -> None:
    """Dbt would render it, with every variable of the environment in reach."""
    assert text != TOP_SCORE_RATE
    assert any("expected plain text" in problem for problem in problems_of(tmp_path, text))


def test_a_kpi_file_brings_nothing_else_that_dbt_would_run(tmp_path: Path) -> None:
    hooked = TOP_SCORE_RATE + "models:\n  - name: fct_calls\n    config: { post_hook: select 1 }\n"
    assert any("models: unknown key" in problem for problem in problems_of(tmp_path, hooked))


@pytest.mark.parametrize("name", ["evil.sql", "evil.py", "evil.yaml", "evil.csv", "evil/x.sql"])
def test_the_folder_of_kpis_holds_only_what_was_checked(tmp_path: Path, name: str) -> None:
    file = tmp_path / "kpis" / name
    file.parent.mkdir(parents=True)
    file.write_text("select 1", encoding="utf-8")
    told = f"kpis/{name.split('/')[0]}: expected only KPI files (*.yml) here"
    assert told in problems_of(tmp_path, TOP_SCORE_RATE)


@pytest.mark.parametrize("folder", ["home", "it's [a] home"])
def test_the_engine_of_a_build_reaches_what_was_landed_and_nothing_beside(
    tmp_path: Path, folder: str
) -> None:
    """What dbt runs before the models, rendered and run as dbt does."""
    home = tmp_path / folder
    (home / "raw").mkdir(parents=True)
    (home / "raw" / "a.csv").write_text("a\n1\n", encoding="utf-8")
    (home / "secret.txt").write_text("told", encoding="utf-8")
    project = yaml.safe_load((settings.project_dir() / "dbt_project.yml").read_text("utf-8"))
    assert project["on-run-start"] == ["{{ close_engine() }}"]
    macros = (settings.project_dir() / "macros" / "engine.sql").read_text("utf-8")
    known = {"PERFHOUSE_HOME": str(home), "PERFHOUSE_SPILL": str(home / "tmp" / "spill")}
    jinja = jinja2.Environment(extensions=["jinja2.ext.do"])
    rendered = jinja.from_string(f"{macros}{{{{ duckdb__close_engine() }}}}").render(
        env_var=lambda name, _: known[name]
    )
    with warehouse.connect() as con:
        con.execute(rendered)
        read = "from read_csv(?)"
        assert con.execute(read, [warehouse.plain(str(home / "raw/a.csv"))]).fetchall() == [(1,)]
        for path in (home / "secret.txt", home / "raw" / ".." / "secret.txt", Path("/etc/hosts")):
            with pytest.raises(duckdb.PermissionException):
                con.execute("from read_text(?)", [warehouse.plain(str(path))])
        for setting in ("enable_external_access = true", "allowed_directories = ['/']"):
            with pytest.raises(duckdb.InvalidInputException):
                con.execute(f"set {setting}")


def problems_of(folder: Path, text: str) -> list[str]:
    own = folder / "kpis"
    own.mkdir(exist_ok=True)
    (own / "top_score_rate.yml").write_text(text, encoding="utf-8")
    problems: list[str] = []
    kpi_files.read([own], problems)
    return problems
