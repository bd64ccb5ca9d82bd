"""Rebuild a past release from the inputs it names, in a home of its own, and compare the bytes.

It may not change the home it is asked about: what it makes is thrown away.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations import acceptance
from perfhouse import (
    confidential,
    erased,
    lake,
    ledger,
    provenance,
    release_manifest,
    release_stage,
    retention,
    stages,
    trust,
)
from perfhouse.errors import ConfigError, ReleaseError
from perfhouse.month import Month
from perfhouse.release_label import Succession
from perfhouse.settings import Home

_log = logging.getLogger(__name__)
Progress = Callable[[str], None]
_NAME = re.compile(r"^(\d{4}-\d{2})\.r(\d+)$")


@dataclass(frozen=True)
class Reproduction:
    """What became of rebuilding a release; `differences` name the tables and files that differ.

    `notes` say what is not as it was then: versions, code, or months it was compared with.
    """

    release: str
    expected_sha256: str
    found_sha256: str
    differences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Say whether every table and file came out the same."""
        return self.expected_sha256 == self.found_sha256 and not self.differences


def reproduce(home: Home, name: str, progress: Progress = _log.info) -> Reproduction:
    """Rebuild a release such as `2026-09.r1` and every month before it that it was compared with.

    Months are built again in the order in which they were released, each from the deliveries and
    under the configuration that its release names: what a month is compared with are months as
    they stood then.

    Raises:
        ConfigError: there is no such release (operator).
        ReleaseError: it is not intact, or what it was made from is gone (data engineer).
    """
    entry, earlier = _entries(home, name)
    said = _intact(home, entry)
    with _other_home(home) as other:
        for before in earlier:
            progress(f"{_name(before)}: building again, for {name} was compared with it")
            trust.require_tables(home, before)
            _build(
                home, other, release_manifest.read_manifest(home.published / before.path), progress
            )
        progress(f"{name}: building again")
        acceptance.carry(home, other, before=entry.sequence)
        ws = _build(home, other, said, progress, gates=True)
        folder = other.tmp / "again"
        folder.mkdir(parents=True)
        again = release_stage.restage(
            ws.company,
            other,
            Month(said["month"]),
            as_of=Month(said["as_of"]),
            number=int(said["number"]),
            before=_before(home, said),
            succession=Succession.read(said),
            folder=folder,
            progress=progress,
        )
    differences = [
        *release_manifest.differences("table", said["tables"], again["tables"]),
        *release_manifest.differences("file", said["files"], again["files"]),
        *_evidence_differences(said, again),
    ]
    return Reproduction(
        name,
        said["release_sha256"],
        again["release_sha256"],
        tuple(differences),
        (*_notes(said, again), *_key_notes(said, again), *(_since(home) if differences else ())),
    )


def _entries(home: Home, name: str) -> tuple[ledger.Entry, list[ledger.Entry]]:
    """Return the release and those of earlier months that were published before it."""
    entries = [line for line in trust.lines(home) if isinstance(line, ledger.Entry)]
    match = _NAME.fullmatch(name)
    for entry in entries:
        if match and (entry.month, str(entry.number)) == match.groups():
            earlier = [
                each
                for each in entries
                if each.sequence < entry.sequence and each.month < entry.month
            ]
            return entry, earlier
    known = ", ".join(_name(each) for each in entries) or "none yet"
    raise ConfigError([f"release: expected one of {known}; got {name!r}"])


def _name(entry: ledger.Entry) -> str:
    return f"{entry.month}.r{entry.number}"


def _intact(home: Home, entry: ledger.Entry) -> Mapping[str, Any]:
    trust.require_intact(home, entry)
    return release_manifest.read_manifest(home.published / entry.path)


def _before(home: Home, said: Mapping[str, Any]) -> Path | None:
    if "follows" not in said:
        return None
    number = str(said["follows"]).rpartition(".r")[2]
    return home.published / str(said["month"]) / f"r{number}"


@contextmanager
def _other_home(home: Home) -> Iterator[Home]:
    """Make a home beside, on the same disk: landed files are linked into it, not copied."""
    home.tmp.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="reproduce-", dir=home.tmp))
    try:
        other = Home(folder).ensure()
        if home.secrets.is_dir():  # the same keys make the same evidence
            shutil.copytree(home.secrets, other.secrets, dirs_exist_ok=True)
        yield other
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build(
    home: Home,
    other: Home,
    said: Mapping[str, Any],
    progress: Progress,
    *,
    gates: bool = False,
) -> stages.Workspace:
    """Build the month of a release from what it names; with its gates where they are published."""
    ws = _workspace(home, other, said)
    _deliver(home, other, said["inputs"])
    month, as_of = Month(said["month"]), Month(said["as_of"])
    confidential.carry(home, other, month, before=int(said["number"]))
    if gates:
        stages.gate_raw(ws, month, as_of)
    stages.build(ws, month, as_of, progress)
    if gates:
        stages.gate_facts(ws, month, as_of)
        stages.gate_scorecards(ws, month, as_of)
    return ws


def _workspace(home: Home, other: Home, said: Mapping[str, Any]) -> stages.Workspace:
    """Open the configuration a release was made under."""
    sha256 = str(said["configuration_sha256"])
    kept = home.configurations / sha256
    if not kept.is_dir():
        raise ReleaseError(
            f"{said['release']}: its configuration {sha256[:12]} is not in {home.configurations}"
        )
    ws = stages.open_workspace(kept, kept, other.root)
    if provenance.configuration_sha256(ws.company) != sha256:
        raise ReleaseError(
            f"{said['release']}: its configuration {sha256[:12]} was changed, or the KPI pack it "
            f"chose comes in another version with this perfhouse{_because(home)}"
        )
    return ws


def _deliver(home: Home, other: Home, inputs: Sequence[Mapping[str, Any]]) -> None:
    """Make exactly the deliveries that a release names the current ones."""
    shutil.rmtree(other.manifests, ignore_errors=True)
    for each in inputs:
        source, month = str(each["source"]), Month(each["month"])
        try:
            lake.restore(home, other, source, month, str(each["manifest_sha256"]))
        except ReleaseError as error:
            raise ReleaseError(f"{error}{_because(home)}") from error


def _because(home: Home) -> str:
    return "".join(f"\n  {line}" for line in _since(home))


def _since(home: Home) -> Iterator[str]:
    """Tell of what was deleted or erased on record: then nothing can come out as it was."""
    for line in ledger.lines(ledger.ledger_path(home)):
        if isinstance(line, ledger.Record) and line.kind == retention.KIND:
            told = "; ".join(f"{kind}: {what}" for kind, what in line.what.items())
            yield f"deleted by {line.who} (line {line.sequence} of the ledger): {told}; {line.why}"
    for line in erased.records(home.published):
        yield erased.told(line)


def _evidence_differences(said: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """Compare what depends on keys, where the release has it and the keys are at hand."""
    then, now = said.get("evidence"), again["evidence"]
    if then is None or then["key"] != now["key"]:
        return []
    return release_manifest.differences("file", then["files"], now["files"])


def _key_notes(said: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[str]:
    if "evidence" in said and said["evidence"]["key"] != again["evidence"]["key"]:
        yield "it was signed with another key than this home has, so its evidence is not compared"


def _notes(said: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[str]:
    for name, version in said["versions"].items():
        now = again["versions"].get(name)
        if now != version:
            yield f"{name} was {version} and is {now}"
    if said.get("code_sha256") != again["code_sha256"]:
        built, here = str(said.get("code_sha256"))[:12], again["code_sha256"][:12]
        yield (
            f"the models are not those it was built with: {built}, here {here}; the same bytes "
            f"come from what published it: perfhouse {said['versions'].get('perfhouse')} with those"
        )
    for month, then in said["earlier_months"].items():
        if not isinstance(then, Mapping):
            continue  # of before it was said from which release a month came
        if then["release"] is None:
            yield f"{month} had been built from what was never released"
        now = again["earlier_months"].get(month, {}).get("content_sha256")
        if now != then["content_sha256"]:
            yield f"{month} does not stand as it stood then"
