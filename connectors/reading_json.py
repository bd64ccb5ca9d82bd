"""Archived JSON to a table of records: one object a line, arrays, or objects end to end.

Every record keeps its raw text and its ordinal (JSON lines: its line). Nothing here casts,
judges or writes a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors import decoding
from connectors.casting import literal
from connectors.checking import FILE, RAW, ROW
from connectors.reading import ReadFile, Records, Wanted, internal_names
from perfhouse.errors import ConfigError, SourceChanged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NOT_JSON = "not a JSON object"
_STEP = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')
_LINES = 16 << 20
_NEXT_OBJECT = re.compile(r"\n\s*(?=\{)")
_SPACE = re.compile(r"[\s,]*")
# A key's plain value: without values few shapes are left, and only they are looked into.
_VALUE = r'":\s*("(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null)'

Step = str | int


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


def read_json(
    con: DuckDBPyConnection, files: Sequence[ReadFile], wanted: Wanted, scratch: Path
) -> Records:
    """Fill `records` from JSON files.

    Raises:
        SourceChanged: a file cannot be read, or no record has a field that is required.
    """
    steps = {name: path_steps(name) for name in wanted.fields}
    paths = ", ".join(literal(engine_path(path)) for path in steps.values())
    con.execute(f"create table lines ({FILE} integer, {ROW} bigint, {RAW} varchar)")
    rest = _fast(con, [f for f in files if f.format == "json"], wanted)
    for file in rest:
        _slow(con, file, wanted, scratch)
    for file in (f for f in files if f.format == "jsonl"):
        _lines(con, file, wanted, scratch)
    good = f"case when json_valid({RAW}) then json_type({RAW}) = 'OBJECT' end"
    con.execute(
        f"insert into broken select {FILE}, {ROW}, {literal(NOT_JSON)}, {RAW} from lines "
        f"where not coalesce({good}, false)"
    )
    values = f"json_extract_string({RAW}, [{paths}])" if steps else "cast([] as varchar[])"
    con.execute(
        f"create table records as select {FILE}, {ROW}, {RAW}, {values} as __values from lines "
        f"where coalesce({good}, false)"
    )
    con.execute("drop table lines")
    names = internal_names(list(steps))
    records = Records(fields=names, raw=RAW)
    records.used = {names[name]: f"__values[{at}]" for at, name in enumerate(steps, start=1)}
    records.rows = _count(con, "records") + _count(con, "broken")
    _check_required(con, wanted, steps)
    records.undeclared = _undeclared(con, wanted, steps)
    return records


def _count(con: DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0


def _fast(con: DuckDBPyConnection, files: Sequence[ReadFile], wanted: Wanted) -> list[ReadFile]:
    """Let DuckDB split all files at once; return those that need the patient reader."""
    import duckdb

    if wanted.options.get("encoding", "utf-8") not in ("utf-8", "auto"):
        return list(files)
    patient: list[ReadFile] = []
    groups: dict[str, list[ReadFile]] = {"array": [], "unstructured": []}
    for file in files:
        head = _sniff(file)
        kind = {"[": "array", "{": "unstructured"}.get(head)
        (groups[kind] if kind and not wanted.options.get("records") else patient).append(file)
    threads = con.execute("select current_setting('threads')").fetchone()
    con.execute("set threads = 1")  # files and records keep their order
    for form, group in groups.items():
        try:
            _split(con, form, group)
        except duckdb.InvalidInputException:  # something in one of them is no JSON
            patient.extend(group)
    con.execute(f"set threads = {int(threads[0]) if threads else 1}")
    return sorted(patient, key=lambda file: file.number)


def _sniff(file: ReadFile) -> str:
    with file.path.open("rb") as handle:
        head = handle.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    globbed = any(c in str(file.path) for c in "*?[")
    return "" if globbed else head[:1].decode("ascii", "replace")


def _split(con: DuckDBPyConnection, form: str, group: Sequence[ReadFile]) -> None:
    if not group:
        return
    con.execute("create or replace temp table numbered (filename varchar, number integer)")
    con.execute(
        "insert into numbered select unnest(?), unnest(?)",
        [[str(f.path) for f in group], [f.number for f in group]],
    )
    con.execute(
        f"insert into lines "
        f"with objects as (select filename, cast(json as varchar) as {RAW}, row_number() over () "
        f"as nth from read_json_objects(?, format = '{form}', filename = true)) "
        f"select number, nth - min(nth) over (partition by filename) + 1, {RAW} "
        "from objects join numbered using (filename)",
        [[str(f.path) for f in group]],
    )


def _slow(con: DuckDBPyConnection, file: ReadFile, wanted: Wanted, scratch: Path) -> None:
    """Split one file patiently, so that what is no JSON is kept and the rest lands."""
    encoding = str(wanted.options.get("encoding") or "utf-8")
    target = scratch / f"text-{file.number}"
    path = decoding.utf8(file.path, encoding, target, file.name, wanted.owner)
    text = path.read_text(encoding="utf-8-sig")
    if not text:
        raise SourceChanged(
            f"{file.name}: the file is empty, not even an empty list; nothing was landed; "
            f"ask the source's owner: {wanted.owner}"
        )
    within = path_steps(wanted.options["records"]) if wanted.options.get("records") else ()
    _insert(con, file, [piece for raw in _objects(text) for piece in _within(raw, within)])


def _insert(con: DuckDBPyConnection, file: ReadFile, raws: Sequence[str]) -> None:
    import pyarrow as pa

    con.register(
        "batch",
        pa.table(
            {ROW: pa.array(range(1, len(raws) + 1), pa.int64()), RAW: pa.array(raws, pa.string())}
        ),
    )
    con.execute(f"insert into lines select {file.number}, {ROW}, {RAW} from batch")
    con.unregister("batch")


def _objects(text: str) -> Iterator[str]:
    """Yield the raw text of each value; of what is no JSON, up to the next line with a brace."""
    decoder = json.JSONDecoder()
    at = _SPACE.match(text).end()  # type: ignore[union-attr]
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            found = _NEXT_OBJECT.search(text, at + 1)
            yield text[at : found.start() if found else len(text)]
            at = found.end() if found else len(text)
            continue
        except RecursionError:
            yield text[at:]
            return
        if isinstance(value, list):
            yield from (json.dumps(item, ensure_ascii=False) for item in value)
        else:
            yield text[at:end]
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]


def _within(raw: str, within: Sequence[Step]) -> Iterator[str]:
    """Yield the records that lie in a list inside a wrapping object."""
    if not within:
        yield raw
        return
    try:
        value: Any = json.loads(raw)
        for step in within:
            value = value[step]
    except (ValueError, KeyError, IndexError, TypeError):
        yield raw
        return
    items = value if isinstance(value, list) else [value]
    yield from (json.dumps(item, ensure_ascii=False) for item in items)


def _lines(con: DuckDBPyConnection, file: ReadFile, wanted: Wanted, scratch: Path) -> None:
    import pyarrow as pa

    encoding = str(wanted.options.get("encoding") or "utf-8")
    target = scratch / f"text-{file.number}"
    path = decoding.utf8(file.path, encoding, target, file.name, wanted.owner)
    line = 0
    for parts in _line_blocks(path):
        table = pa.table(
            {
                ROW: pa.array(range(line + 1, line + len(parts) + 1), pa.int64()),
                RAW: pa.array(parts, pa.binary()).cast(pa.string()),
            }
        )
        con.register("batch", table)
        con.execute(
            f"insert into lines select {file.number}, {ROW}, {RAW} from batch "
            f"where trim({RAW}, ' ' || chr(9) || chr(13)) <> ''"
        )
        con.unregister("batch")
        line += len(parts)


def _line_blocks(path: Path) -> Iterator[list[bytes]]:
    """Yield the lines of a file, some megabytes at a time."""
    tail = b""
    with path.open("rb") as handle:
        while chunk := handle.read(_LINES):
            *parts, tail = (tail + chunk).split(b"\n")
            yield parts
    yield [tail]


def _check_required(
    con: DuckDBPyConnection, wanted: Wanted, steps: dict[str, tuple[Step, ...]]
) -> None:
    needed = [name for name in wanted.fields if name in wanted.required]
    if not needed or not _count(con, "records"):
        return
    tests = ", ".join(
        f"count(*) filter (where json_exists({RAW}, {literal(engine_path(steps[name]))}))"
        for name in needed
    )
    row = con.execute(f"select {tests} from records").fetchone() or ()
    absent = [name for name, count in zip(needed, row, strict=True) if not count]
    if absent:
        told = ", ".join(f"{name!r} (for {wanted.fields[name]})" for name in absent)
        raise SourceChanged(
            f"{wanted.stream}: no record of the delivery has {told}. The whole delivery was "
            "refused, nothing was landed: the mapping's author adapts perfhouse.toml, or "
            f"{wanted.owner} delivers again"
        )


def _undeclared(
    con: DuckDBPyConnection, wanted: Wanted, steps: dict[str, tuple[Step, ...]]
) -> set[str]:
    shapes = f"select distinct regexp_replace({RAW}, {literal(_VALUE)}, '\":null', 'g') as shape"
    row = con.execute(
        "select cast(json_group_structure(cast(shape as json)) as varchar) "
        f"from ({shapes} from records)"
    ).fetchone()
    if not row or row[0] is None:
        return set()
    known = {tuple(s for s in path if isinstance(s, str)) for path in steps.values()}
    known |= {_names(name) for name in wanted.quiet}
    return set(_unknown_paths(json.loads(row[0]), (), known))


def _names(text: str) -> tuple[str, ...]:
    try:
        return tuple(step for step in path_steps(text) if isinstance(step, str))
    except ConfigError:
        return (text,)


def _unknown_paths(node: Any, path: tuple[str, ...], known: set[tuple[str, ...]]) -> Iterator[str]:
    while isinstance(node, list):
        node = node[0] if node else None
    below = [k for k in known if k[: len(path)] == path and len(k) > len(path)]
    if any(path[: len(k)] == k for k in known if k) and path:
        return
    if path and not below:
        yield ".".join(path)
        return
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _unknown_paths(value, (*path, key), known)
