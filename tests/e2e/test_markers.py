"""The search for planted markers finds them however they are written."""

from __future__ import annotations

import csv
import gzip
import json
import urllib.parse
import zipfile
from html import escape
from pathlib import Path

import markers
import pytest
import tiny

WRITTEN = {
    "plain": markers.COMMENT,
    "json": json.dumps({"told": markers.COMMENT}),
    "json in json": json.dumps(json.dumps(markers.COMMENT)),
    "html": escape(markers.COMMENT),
    "numbers of html": markers.COMMENT.encode("ascii", "xmlcharrefreplace").decode(),
    "an address": urllib.parse.quote(markers.COMMENT),
    "a query": urllib.parse.urlencode({"q": markers.COMMENT}),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_marker_is_found_however_it_is_written(tmp_path: Path, how: str) -> None:
    (tmp_path / "said.log").write_text(f"before {WRITTEN[how]} after", encoding="utf-8")
    assert markers.found(tmp_path, markers.PERSONAL) == {"said.log": {markers.COMMENT}}


def test_a_marker_is_found_in_what_is_packed_and_in_the_other_unicode(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(json.dumps(markers.AGENT_NAME).encode()))
    (tmp_path / "b.txt").write_text(markers.AGENT_NAME, encoding="utf-16")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as packed:
        packed.writestr("x", json.dumps(markers.AGENT_NAME))
    found = markers.found(tmp_path, markers.NAMES)
    assert found == {name: {markers.AGENT_NAME} for name in ("a.gz", "b.txt", "c.zip")}


def test_names_are_planted_in_the_roster_alone(tmp_path: Path) -> None:
    tiny.deliver(tmp_path, "2026-09")
    markers.plant(tmp_path)
    markers.plant(tmp_path)
    assert markers.found(tmp_path, markers.NAMES) == {"hr/2026-09.csv": set(markers.NAMES)}
    with (tmp_path / "hr/2026-09.csv").open(encoding="utf-8", newline="") as handle:
        named = {row["id"]: row["name"] for row in csv.DictReader(handle)}
    assert (named["A1"], named["MA"], named["A2"]) == (*markers.NAMES, "李娜")
