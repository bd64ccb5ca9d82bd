"""The fonts of printed cards: Noto from two pinned packages, and which letters they hold.

Reads font files; what the packages' files are is what makes a PDF the same bytes everywhere, so
no font of the machine is ever used.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse.errors import ConfigError

if TYPE_CHECKING:
    from typst import Fonts

_PACKAGES = ("manimgx_fonts_cjk", "manimgx_fonts")
# First what Chinese, English and figures are set in; then what stands in for a missing letter.
_FIRST = ("Noto Sans CJK SC", "Noto Sans")
_OTHER_CHINA = "Noto Sans CJK "  # of other countries: the same signs in other forms
MISSING = "□"
_JOINERS = "\u200c\u200d"
_NO_LETTERS = ("Cc", "Cn", "Co", "Cs")  # control, unassigned, private, halves of a pair


@cache
def book() -> Fonts:
    """Return the fonts, read once.

    Raises:
        ConfigError: a package of fonts is not installed (operator).
    """
    from typst import Fonts

    return Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[_folder(package) for package in _PACKAGES],
    )


@cache
def families() -> tuple[str, ...]:
    """List the families in the order in which a letter is looked for."""
    known = [f for f in book().families() if not f.startswith(_OTHER_CHINA) or f in _FIRST]
    return (*_FIRST, *sorted(f for f in known if f not in _FIRST))


def printable(text: str) -> str:
    """Return a text with a box for every letter that no font holds.

    A PDF for screen readers may not have such letters at all. Signs that turn the direction of
    writing are left out: they would show another text than there is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_letter(letter) for letter in text)


def _letter(letter: str) -> str:
    if letter.isspace():
        return " "
    kind = unicodedata.category(letter)
    if kind == "Cf":
        return letter if letter in _JOINERS else ""
    is_known = ord(letter) in _letters() and kind not in _NO_LETTERS
    return letter if is_known else MISSING


@cache
def _letters() -> frozenset[int]:
    """Return every code point that one of the families has a glyph for."""
    wanted = set(families())
    found: set[int] = set()
    for font in book().fonts():
        if font.family in wanted and font.style == "normal" and font.path:
            found.update(_mapped(Path(font.path).read_bytes(), font.index))
    return frozenset(found)


def _mapped(font: bytes, index: int) -> Iterator[int]:
    """Yield the code points of an OpenType file's widest character map (formats 4 and 12)."""
    start = struct.unpack_from(">I", font, 12 + 4 * index)[0] if font[:4] == b"ttcf" else 0
    tables = struct.unpack_from(">H", font, start + 4)[0]
    records = (struct.unpack_from(">4sIII", font, start + 12 + 16 * n) for n in range(tables))
    cmap = next(offset for tag, _, offset, _ in records if tag == b"cmap")
    count = struct.unpack_from(">H", font, cmap + 2)[0]
    listed = (struct.unpack_from(">HHI", font, cmap + 4 + 8 * n) for n in range(count))
    maps = {
        struct.unpack_from(">H", font, cmap + at)[0]: cmap + at
        for platform, _, at in listed
        if platform in (0, 3)
    }
    if 12 in maps:
        yield from _groups(font, maps[12])
    else:
        yield from _segments(font, maps[4])


def _groups(font: bytes, at: int) -> Iterator[int]:
    groups = struct.unpack_from(">I", font, at + 12)[0]
    for n in range(groups):
        first, last, glyph = struct.unpack_from(">III", font, at + 16 + 12 * n)
        yield from range(first + (glyph == 0), last + 1)


def _segments(font: bytes, at: int) -> Iterator[int]:
    """Yield what a map of format 4 holds; what it sends to glyph 0 by a table may be among it."""
    size = struct.unpack_from(">H", font, at + 6)[0]
    ends = struct.unpack_from(f">{size // 2}H", font, at + 14)
    starts = struct.unpack_from(f">{size // 2}H", font, at + 16 + size)
    for first, last in zip(starts, ends, strict=True):
        if first != 0xFFFF:
            yield from range(first, last + 1)


def _folder(package: str) -> Path:
    found = util.find_spec(package)
    if found is None or found.origin is None:
        name = package.replace("_", "-")
        raise ConfigError([f"[cards] pdf: expected the package {name}: pip install {name}"])
    return Path(found.origin).parent
