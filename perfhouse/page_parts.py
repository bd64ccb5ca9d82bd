"""What pages with charts are made of: templates, our own style and scripts, and their policy.

Nothing of a page comes from elsewhere, and only the scripts that are named by their hash run.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    """Return the templates; everything but our own style and scripts is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_templates()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def script(*names: str) -> Markup:
    """Read the parts of a script of ours, to stand in a page as one.

    Raises:
        ValueError: it would end its own element.
    """
    text = "".join((_templates() / name).read_text(encoding="utf-8") for name in names)
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError(*names)
    return Markup(text)  # noqa: S704 - our own file


@dataclass(frozen=True)
class Packed:
    """A vendor's script, packed: a page holds `text`, unpacks it and runs it by its hash.

    Packed it is a third as long, and no word of it is taken for somebody's name or id.
    """

    text: str
    script: str


@cache
def packed(name: str) -> Packed:
    """Read a script that lies packed by gzip; its text is base64 of letters, digits, - and _."""
    content = (_templates() / name).read_bytes()
    text = base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")
    return Packed(text, gzip.decompress(content).decode("ascii"))


@cache
def style(name: str) -> Markup:
    """Read a style sheet of ours."""
    text = (_templates() / name).read_text(encoding="utf-8")
    return Markup(text.replace("\n", ""))  # noqa: S704 - our own file


def policy(*scripts: str) -> str:
    """Return the Content-Security-Policy of a page that may run these scripts and load nothing."""
    hashes = (hashlib.sha256(text.encode()).digest() for text in scripts)
    allowed = [f"'sha256-{base64.b64encode(each).decode()}'" for each in hashes] or ["'none'"]
    return (
        f"default-src 'none'; script-src {' '.join(allowed)}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _templates() -> Path:
    return Path(__file__).resolve().parent / "templates"
