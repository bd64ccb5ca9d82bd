"""Bytes as delivered to UTF-8 text: gzip, byte order marks, GB18030, strictly.

Nothing here knows streams or mappings; a file that is not what it claims is refused whole.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from perfhouse.errors import SourceChanged

CHUNK = 8 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def utf8(path: Path, encoding: str, scratch: Path, name: str, owner: str) -> Path:
    """Return a file of strict UTF-8 without byte order mark: the same one when it is that already.

    `auto` tries a byte order mark, then UTF-8, then GB18030; the text goes to `scratch`.

    Raises:
        SourceChanged: not gzip, not in that encoding (source owner or connector author).
    """
    head = _head(path, name, owner)
    mark = next((pair for pair in _BOMS if head.startswith(pair[0])), None)
    candidates = [encoding] if encoding != "auto" else ["utf-8", "gb18030"]
    if mark and (encoding == "auto" or mark[1] == encoding):
        candidates = [mark[1]]
    plain = not is_gzip(path) and mark is None
    failure: UnicodeError | None = None
    for candidate in candidates:
        try:
            return _decoded(path, candidate, None if plain and candidate == "utf-8" else scratch)
        except UnicodeError as error:
            failure = error
        except (OSError, EOFError, zlib.error):
            raise SourceChanged(f"{name}: the gzip file is damaged; {_act(owner)}") from None
    raise SourceChanged(
        f"{name}: expected {' or '.join(candidates)} text, {_where(failure)}; "
        f"set the stream's `encoding` if it is another one. {_act(owner)}"
    )


def is_gzip(path: Path) -> bool:
    """Tell gzip by its magic number, whatever the file is called."""
    with path.open("rb") as handle:
        return handle.read(2) == b"\x1f\x8b"


def opened(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip when it is compressed."""
    return gzip.open(path, "rb") if is_gzip(path) else path.open("rb")  # type: ignore[return-value]


def _head(path: Path, name: str, owner: str) -> bytes:
    try:
        with opened(path) as handle:
            return handle.read(4)
    except (OSError, EOFError, zlib.error):
        raise SourceChanged(f"{name}: the file cannot be read; {_act(owner)}") from None


def _act(owner: str) -> str:
    return f"nothing was landed; ask the source's owner: {owner}"


def _where(failure: UnicodeError | None) -> str:
    if isinstance(failure, UnicodeDecodeError):
        return f"found a byte 0x{failure.object[failure.start]:02x} that is not"
    return "found other bytes"


def _decoded(path: Path, encoding: str, target: Path | None) -> Path:
    """Check a whole file in one encoding; write it as UTF-8 when `target` is given."""
    if target is None:
        for _ in _texts(path, encoding):
            pass
        return path
    with target.open("wb") as out:
        first = True
        for text in _texts(path, encoding):
            out.write((text.removeprefix("\ufeff") if first else text).encode())
            first = first and not text
    return target


def _texts(path: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    with opened(path) as handle:
        while chunk := handle.read(CHUNK):
            yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)
