"""Torture of publishing: kills at every step and at random, misfortunes, with readers all the time.

Counts what readers saw: an error, parts of two releases, missing rows. In the end everything must
be, to the byte of the signed ledger, as if nobody had died.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks import measure, torture_misfortunes, torture_world
from benchmarks.measure import say
from benchmarks.results import Report, Table, number
from benchmarks.torture_rack import Forge, Rack, readers, windows
from benchmarks.torture_world import Server, World

# Shares of the kills: rollbacks, landings, loaders of the mart; the rest are publishers.
_SHARES = (0.2, 0.25, 0.25)
_KILLS = 200
_CLEAN = 4
_NOTES = (
    "A kill is a SIGKILL: one half at each named step in turn, one half at a random instant of the "
    "run; three to five in a row before a run may finish. The company has two managers and was "
    "built before; Great Expectations, which writes nothing that is published, is left out.",
    "Readers run all the time, each a process: what BI opens (every row of every month against the "
    "hash in release.json), Parquet, exports and cards behind published/current (every file, and "
    "the database beside them), ledger and signatures with the release that stands, and one SQL "
    "statement over three tables of the mart.",
    "Same ledger: the same publishes and rollbacks in another home where nobody died gave the same "
    "ledger to the byte, which holds hash, root and signature of every release.",
    "Full disk: a tmpfs with so little room left. Rights: published/ read-only for a publisher who "
    "is not root. Session ended: pg_terminate_backend. Server stopped: SIGQUIT, as a power cut.",
)


def run(options: argparse.Namespace) -> Report:
    """Torture one small company; `--size` is how many kills."""
    kills = (options.size or (_KILLS,))[0]
    with measure.workspace(options.tmp, "torture") as root, torture_world.server() as server:
        data = torture(torture_world.prepare(root), kills, server)
    settings = {"kills": sum(e.get("kills", 0) for e in data), "mart": server is not None}
    return Report("torture", settings, data, _tables(data), _NOTES)


def torture(world: World, kills: int, server: Server | None) -> list[dict[str, Any]]:
    """Kill so many; return what each kind of torture and each reader found."""
    if server is not None:
        torture_world.make_mart(world)
    world.spare()
    forge = Forge(world)
    try:
        return _tortured(Rack(world, forge, has_mart=server is not None), kills, server)
    finally:
        forge.close()


def _tortured(rack: Rack, kills: int, server: Server | None) -> list[dict[str, Any]]:
    published, lake = rack.world.home / "published", rack.world.root / "lake"
    rack.begin()
    shares = [round(kills * share) for share in (_SHARES if server else _SHARES[:2])]
    places = dict.fromkeys(("database", "files", "ledger"), published)
    data = []
    with readers(rack.world.root, places | ({"mart": published} if server else {})) as seen:
        data.append(_told(rack.publishers(kills - sum(shares))))
        data.append(_told(rack.rollbacks(shares[0])))
        if server is not None:
            data.append(_told(rack.loads(shares[2])))
    rack.first_landing()
    with readers(rack.world.root, {"lake": lake}) as seen_of_lake:
        data.append(_told(rack.landings(shares[1])))
    data += [_told({"reader": each.pop("kind"), **each}) for each in (*seen, *seen_of_lake)]
    misfortunes = [torture_misfortunes.full_disk(rack), torture_misfortunes.revoked_rights(rack)]
    if server is not None:
        misfortunes.append(torture_misfortunes.lost_sessions(rack))
        misfortunes.append(torture_misfortunes.lost_power(rack, server))
    data += [_told({"misfortune": each.pop("what"), **each}) for each in misfortunes]
    data.append(_told({"windows": windows(rack, _CLEAN)}))
    data.append(_told({"same_ledger": rack.is_as_if_nobody_had_died()}))
    return data


def _told(found: dict[str, Any]) -> dict[str, Any]:
    say(f"   {found}")
    return found


def _tables(data: Sequence[dict[str, Any]]) -> list[Table]:
    killed = [e for e in data if "kills" in e]
    same = all(e.get("same_ledger", True) and e.get("same_files", True) for e in data)
    windows_ms = [w for e in data for w in e.get("windows", ())]
    return [
        Table(
            "Killed",
            ("what", "kills", "at steps", "at random", "runs that finished", "seconds of a run"),
            tuple(_killed(e) for e in killed),
        ),
        Table(
            f"Readers meanwhile; same hashes in the end: {'yes' if same else 'NO'}",
            ("reader", "reads", "releases seen", "errors", "torn reads", "lost rows", "longest, s"),
            tuple(_reader(e) for e in data if "reader" in e),
        ),
        Table(
            "Misfortunes",
            (
                "what",
                "times",
                "refused in words",
                "done all the same",
                "next run finished",
                "reads",
                "wrong",
            ),
            tuple(_misfortune(e) for e in data if "misfortune" in e),
        ),
        Table(
            "How far apart the targets change, when nobody dies, in milliseconds",
            ("what", "longest", "publishes"),
            tuple(_window(name, windows_ms) for name in ("ledger", "mart")),
        ),
    ]


def _killed(entry: dict[str, Any]) -> tuple[str, ...]:
    counts = (entry[name] for name in ("kills", "at_steps", "at_random", "finishing_runs"))
    return (entry["what"], *(number(count) for count in counts), f"{entry['seconds_of_a_run']:.1f}")


def _reader(entry: dict[str, Any]) -> tuple[str, ...]:
    counts = (entry[name] for name in ("reads", "releases", "errors", "torn", "lost"))
    told = tuple(number(count) for count in counts)
    return (entry["reader"], *told, f"{entry['longest_seconds']:.1f}")


def _misfortune(entry: dict[str, Any]) -> tuple[str, ...]:
    if "skipped" in entry:
        return (entry["misfortune"], f"skipped: {entry['skipped']}", "", "", "", "", "")
    counts = (entry[name] for name in ("times", "refused", "done", "finished", "reads"))
    told = tuple(number(count) for count in counts)
    return (entry["misfortune"], *told, number(len(entry["wrong"])))


def _window(name: str, found: Sequence[dict[str, float]]) -> tuple[str, ...]:
    ms = [abs(each[name]) * 1000 for each in found if name in each]
    words = {"ledger": "ledger before the link", "mart": "mart after the link"}[name]
    return (words, number(max(ms), 1) if ms else "-", number(len(ms)))
