"""Folders, files, fields and cells that are code land as the texts they are, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from landing_kit import Place, balances, column, mapping, source

from perfhouse import lake
from perfhouse.errors import ConfigError

CELLS = (
    "'); drop table records; --",
    "\"; attach '/tmp/x' as x; --",
    "=cmd|'/c calc'!A1",
    "<script>alert(1)</script>",
    "{{ env_var('HOME') }}",
    "../../etc/passwd",
    "[1,2]{*}?",
    "\\x00\\n$(id)`id`",
)
NAMES = ("it's.csv", "a'); drop table t; --.csv", "a\nb.csv", "[a]*?.csv", "$(id).csv", '"q".csv')


def _csv(cells: tuple[str, ...]) -> str:
    rows = ["id,when,score"]
    for number, cell in enumerate(cells):
        quoted = '"' + cell.replace('"', '""') + '"'
        rows.append(f"{quoted},{number + 1:02d}/09/2026 10:00,5")
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("folder", ["it's a home", "a]b[c*", "x; drop"])
def test_cells_and_names_of_files_land_as_they_are(folder: str, tmp_path: Path) -> None:
    place = Place(tmp_path / folder)
    for number, name in enumerate(NAMES):
        place.put(name, _csv(tuple(f"{number} {cell}" for cell in CELLS)))
    manifest = place.ingest()
    assert balances(manifest)
    landed = {
        (row[0].partition("/")[2], row[1]) for row in place.rows(manifest, "_file, response_id")
    }
    assert landed == {
        (name, f"{number} {cell}") for number, name in enumerate(NAMES) for cell in CELLS
    }
    assert lake.is_intact(place.home, manifest)


def test_a_field_may_be_called_anything(place: Place) -> None:
    field = "id\"'; drop table x; --"
    quoted = '"' + field.replace('"', '""') + '"'
    place.put("a.csv", _csv(("1",)).replace("id,", f"{quoted},", 1))
    columns = {**mapping().columns, "response_id": column(field)}
    manifest = place.ingest(source(mapping(columns)))
    assert place.rows(manifest, "response_id") == [("1",)]


def test_a_mapping_reaches_no_file_even_by_a_function_that_nobody_thought_of(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is closed as well: the list of refused functions need not be complete."""
    from perfhouse import warehouse

    place.put("a.csv", _csv(("1",)))
    (place.root / "secret.txt").write_text("told", encoding="utf-8")
    inner = f"(select count(*) from read_text('{place.root / 'secret.txt'}'))"
    columns = {**mapping().columns, "response_id": column(sql=f"id || {inner}")}
    with pytest.raises(ConfigError, match="expected an expression over one row"):
        place.ingest(source(mapping(columns)))
    monkeypatch.setattr(warehouse, "refused", lambda _: None)
    with pytest.raises(Exception, match="PermissionException") as caught:
        place.ingest(source(mapping(columns)))
    assert "told" not in str(caught.value)
