"""Fields of JSON records: the paths that a mapping uses, how they are read, and what else is there.

Knows SQL over one column of raw text; may not know files or open one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.checking import RAW
from connectors.quoting import literal, quoted
from connectors.reading import Wanted, shown
from perfhouse.errors import ConfigError, SourceChanged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_STEP = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')

Step = str | int
Names = tuple[str, ...]


def path_steps(text: str) -> tuple[Step, ...]:
    """Parse `a.b[0]["odd.key"].c`; ConfigError when it is no such path."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise ConfigError([f"path {text!r}: expected a path such as a.b[0].c"])
        name, index, odd = match.groups()
        steps.append(int(index) if index is not None else name if odd is None else odd)
        at = match.end()
    if not steps:
        raise ConfigError(["path '': expected a path such as a.b[0].c"])
    return tuple(steps)


def engine_path(steps: Sequence[Step]) -> str:
    """Return a path as DuckDB writes it, every key quoted."""
    parts = []
    for step in steps:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        else:
            parts.append('."' + step.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return "$" + "".join(parts)


@dataclass(frozen=True)
class Values:
    """How fields are read out of raw text: most by one look at all of it, others by their path.

    Args:
        select: SQL that reads them, to be selected beside other columns.
        used: SQL of each field's text over what was selected, by its name.
    """

    select: str
    used: Mapping[str, str]


def values(steps: Mapping[str, Sequence[Step]]) -> Values:
    """Return how to read fields by their paths; a missing one, or JSON's null, is null.

    Both ways give the same text, but for numbers beyond 1e16 or below 1e-4, which the first writes
    with a signed exponent of two digits. A structure cannot have list places, a field that is read
    whole as well as looked into, or names that differ in case alone: they are read by their path.
    """
    tree: dict[str, Any] = {}
    used: dict[str, str] = {}
    paths: list[str] = []
    for name, path in steps.items():
        names = [step for step in path if isinstance(step, str)]
        if len(names) == len(path) and _grows(tree, names):
            used[name] = "__fields." + ".".join(map(quoted, names))
        else:
            paths.append(engine_path(path))
            used[name] = f"__values[{len(paths)}]"
    listed = ", ".join(map(literal, paths))
    parts = [f"json_transform({RAW}, {literal(json.dumps(tree))}) as __fields"] if tree else []
    parts += [f"json_extract_string({RAW}, [{listed}]) as __values"] if paths else []
    return Values(", ".join(parts), used)


def _grows(tree: dict[str, Any], names: Sequence[str]) -> bool:
    """Add a path to a structure, if it can have it."""
    name, *below = names
    taken = next((known for known in tree if known.lower() == name.lower()), None)
    into = taken == name and below and isinstance(tree[name], dict)
    if not name or (taken is not None and not into):
        return False
    branch: Any = tree.get(name, {}) if below else "VARCHAR"
    if below and not _grows(branch, below):
        return False
    tree[name] = branch
    return True


@dataclass
class Shapes:
    """The fields that records have: at the top, and below each object that a mapping looks into.

    Args:
        known: paths that are used or need no report; what lies below them is known too.
        plain: objects that are looked into; `listed` are those inside a list.
        found: every field seen, by its path.
        looked: there was a record.
    """

    known: set[Names]
    plain: list[tuple[Names, str]]
    listed: list[tuple[Names, str]]
    found: set[Names] = field(default_factory=set)
    looked: bool = False

    @classmethod
    def of(cls, used: Iterable[Sequence[Step]], wanted: Wanted) -> Shapes:
        """Return what to look for, of the paths in use and those that need no report."""
        paths = [*used, *(_steps(name) for name in wanted.quiet)]
        known = {_names(path) for path in paths}
        above = {tuple(path[:at]) for path in paths for at in range(1, len(path))}
        plain: dict[Names, str] = {(): "$"}
        listed: dict[Names, str] = {}
        for path in sorted(above, key=str):
            if any(isinstance(step, int) for step in path):
                listed[_names(path)] = _any_element(path)
            else:
                plain[_names(path)] = engine_path(path)
        return cls(known, list(plain.items()), list(listed.items()))

    def look(self, con: DuckDBPyConnection) -> None:
        """Note the fields of the view `good`; only distinct shapes come to Python."""
        paths = ", ".join(literal(path) for _, path in self.plain)
        shape = f"json_keys({RAW}, [{paths}])"
        one_of_each = f"select any_value({RAW}) as {RAW} from good group by hash({shape})"
        for (found,) in con.execute(f"select {shape} from ({one_of_each})").fetchall():
            self.looked = True
            for (names, _), keys in zip(self.plain, found, strict=True):
                self.found.update((*names, key) for key in keys or ())
        for names, path in self.listed:
            query = f"select distinct json_keys({RAW}, {literal(path)}) as shape from good"
            rows = con.execute(f"select distinct unnest(flatten(shape)) from ({query})").fetchall()
            self.found.update((*names, key) for (key,) in rows)

    def undeclared(self) -> set[str]:
        """Return the fields that nobody asked for; of an object only its own name."""
        return {".".join(map(shown, path)) for path in self.found if not self._is_known(path)}

    def _is_known(self, path: Names) -> bool:
        return any(path[: len(k)] == k or k[: len(path)] == path for k in self.known)


def _any_element(path: Sequence[Step]) -> str:
    parts = [engine_path([s])[1:] if isinstance(s, str) else "[*]" for s in path]
    return "$" + "".join(parts)


def _steps(name: str) -> tuple[Step, ...]:
    try:
        return path_steps(name)
    except ConfigError:  # a sibling's field of a table, or a name that is no path
        return (name,)


def _names(path: Sequence[Step]) -> Names:
    return tuple(step for step in path if isinstance(step, str))


def check_required(wanted: Wanted, steps: dict[str, tuple[Step, ...]], shapes: Shapes) -> None:
    """Refuse a delivery of which no record has a field that a required column needs."""
    absent = [
        name
        for name in wanted.fields
        if name in wanted.required and _names(steps[name]) not in shapes.found
    ]
    if absent:
        told = ", ".join(f"{name!r} (for {wanted.fields[name]})" for name in absent)
        raise SourceChanged(
            f"{wanted.stream}: no record of the delivery has {told}. The whole delivery was "
            "refused, nothing was landed: the mapping's author adapts perfhouse.toml, or "
            f"{wanted.owner} delivers again"
        )
