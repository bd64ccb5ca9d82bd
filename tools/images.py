"""Draw docs/images/card.png and overview.png again, from what `make run` published.

`python tools/images.py` needs a Chromium. The card is drawn for a desk and for a phone, in Chinese;
the overview in English. Standard library only.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
_CHINESE = 'id=zh aria-label="中文" autocomplete=off checked'
_ENGLISH = "id=en aria-label=English"
_HEIGHT = 1240


def draw(page: str, width: int, height: int, target: Path) -> None:
    """Take a picture of a page in a light Chromium that asks for nothing."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("no chromium here; tests/servers/packages.sh installs it")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(page, encoding="utf-8")
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-background-networking", f"--user-data-dir={folder}/profile"),
            *("--allow-file-access-from-files", "--virtual-time-budget=20000"),
            *(f"--window-size={width},{height}", f"--screenshot={target}", file.as_uri()),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603 - our own


def beside(page: Path, widths: Sequence[int], height: int) -> str:
    """Return a page that shows another one in frames of these widths."""
    frames = "".join(
        f'<iframe src="{page.as_uri()}" style="width:{width}px;height:{height}px"></iframe>'
        for width in widths
    )
    style = "body{margin:0;display:flex;gap:24px;background:#fff}iframe{border:0}"
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{frames}"


def in_english(page: str) -> str:
    """Return a page that opens in English."""
    if _CHINESE not in page:
        raise SystemExit("the page has no switch of languages where it is looked for")
    return page.replace(_CHINESE, _CHINESE.removesuffix(" checked")).replace(
        _ENGLISH, f"{_ENGLISH} checked", 1
    )


def main() -> None:
    """Draw both from the newest release of a month."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("data"))
    parser.add_argument("--month", default="2026-09")
    parser.add_argument("--manager", default="M1001")
    given = parser.parse_args()
    releases = (given.home / "published" / given.month).glob("r*")
    newest = max(releases, key=lambda path: int(path.name[1:])).resolve()
    card = newest / "cards" / f"{given.manager}.html"
    draw(beside(card, (1120, 390), _HEIGHT), 1120 + 24 + 390, _HEIGHT, IMAGES / "card.png")
    overview = (newest / "pages" / "index.html").read_text(encoding="utf-8")
    draw(in_english(overview), 1120, _HEIGHT, IMAGES / "overview.png")


if __name__ == "__main__":
    main()
