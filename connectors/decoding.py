"""Bytes as delivered to UTF-8 text: packed files, byte order marks, GB18030, strictly.

Nothing here knows streams or mappings; a file that is not what it claims is refused whole.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from perfhouse.errors import SourceChanged

CHUNK = 8 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
)
_BZIP2 = (b"BZh", b"1AY&SY")  # between them one digit
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)


def utf8(path: Path, encoding: str, scratch: Path, name: str, owner: str) -> Path:
    """Return a file of strict UTF-8 without byte order mark: the same one when it is that already.

    `auto` tries a byte order mark, then UTF-8, then GB18030; the text goes to `scratch`.

    Raises:
        SourceChanged: damaged, or not in that encoding (source owner or connector author).
    """
    head = _head(path, name, owner)
    mark = next((pair for pair in _BOMS if head.startswith(pair[0])), None)
    candidates = [encoding] if encoding != "auto" else ["utf-8", "gb18030"]
    if mark and (encoding == "auto" or mark[1] == encoding):
        candidates = [mark[1]]
    packed = packing(path)
    plain = not packed and mark is None
    failure: UnicodeError | None = None
    for candidate in candidates:
        try:
            return _decoded(path, candidate, None if plain and candidate == "utf-8" else scratch)
        except UnicodeError as error:
            failure = error
        except _DAMAGED:
            raise SourceChanged(f"{name}: the {packed} file is damaged; {_act(owner)}") from None
    raise SourceChanged(
        f"{name}: expected {' or '.join(candidates)} text, {_where(failure)}; "
        f"set the stream's `encoding` if it is another one. {_act(owner)}"
    )


def packing(path: Path) -> str:
    """Tell gzip, bzip2, xz, zstd and zip by their magic numbers, whatever the file is called."""
    with path.open("rb") as handle:
        head = handle.read(10)
    if head.startswith(_BZIP2[0]) and head[4:].startswith(_BZIP2[1]):
        return "bzip2"
    return next((name for magic, name in _PACKED if head.startswith(magic)), "")


def opened(path: Path) -> BinaryIO:
    """Open a file for reading, unpacked when it is packed.

    Raises:
        zipfile.BadZipFile: a zip file that holds none or several files.
    """
    openers = {
        "gzip": gzip.open,
        "bzip2": bz2.open,
        "xz": lzma.open,
        "zstd": _zstd,
        "zip": _only_member,
        "": Path.open,
    }
    opener: Any = openers[packing(path)]
    return cast(BinaryIO, opener(path, "rb"))


def _zstd(path: Path, _: str) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


def _only_member(path: Path, _: str) -> Any:
    with zipfile.ZipFile(path) as packed:
        found = [i for i in packed.infolist() if not i.is_dir() and "__MACOSX/" not in i.filename]
        if len(found) != 1:
            raise zipfile.BadZipFile(f"{len(found)} files")
        return packed.open(found[0])


def _head(path: Path, name: str, owner: str) -> bytes:
    try:
        with opened(path) as handle:
            return handle.read(4)
    except _DAMAGED as error:
        several = isinstance(error, zipfile.BadZipFile) and str(error).endswith(" files")
        why = f"the zip file holds {error}, expected one" if several else "the file cannot be read"
        raise SourceChanged(f"{name}: {why}; {_act(owner)}") from None


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
