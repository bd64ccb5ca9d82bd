"""Data Docs: what the gates said, month by month, as pages that open without a server.

Made from kept verdicts alone; it judges nothing and reads no data. Pages name failing rows by key,
as verdicts do, so they stay in the home.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from expectations import gate
from expectations.gate import Verdict
from perfhouse.month import Month
from perfhouse.settings import Home

_CSS = (
    "body{font:15px/1.5 system-ui,'Noto Sans SC',sans-serif;margin:1.5em auto;max-width:70em;"
    "padding:0 1em;color:#1f2328;background:#fff}table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #d0d7de;padding:.35em .6em;text-align:left;vertical-align:top}"
    # On a phone digests and ids break anywhere rather than widen the page.
    "code,td,th{overflow-wrap:anywhere}"
    "@media(max-width:40em){table{font-size:13px}td,th{padding:.35em .3em}}"
    ".keys{font:13px ui-monospace,monospace;margin:.4em 0}.stop{color:#a40e26;font-weight:600}"
    ".text-success::before{content:'✓';color:#1a7f37}.text-danger::before{content:'✗';"
    "color:#a40e26}.text-warning::before{content:'!';color:#9a6700}"
    "@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}"
    "td,th{border-color:#30363d}a{color:#79c0ff}.stop{color:#ff7b72}}"
)
_HEAD = """\
<!doctype html>
<html lang=zh-CN>
<meta charset=utf-8>
<meta http-equiv=Content-Security-Policy content="default-src 'none'; style-src 'unsafe-inline'">
<meta name=viewport content="width=device-width,initial-scale=1">
<meta name=robots content=noindex>
<title>质量门 Gates</title>
"""


def index(home: Home) -> Path:
    """Return where the first page lies: docs/gates/index.html of the home."""
    return home.data_docs / "index.html"


def update(home: Home, verdict: Verdict) -> Path:
    """Write the page of one verdict and the list of all; return the list."""
    _write_page(home, verdict)
    return _write_index(home)


def rebuild(home: Home) -> Path:
    """Write the pages of all kept verdicts anew; return the list of them."""
    for month in _months(home):
        for verdict in gate.verdicts(home, month):
            _write_page(home, verdict)
    return _write_index(home)


def _write_page(home: Home, verdict: Verdict) -> None:
    from expectations import data_docs_pages

    _write(home.data_docs / _page(verdict), data_docs_pages.page(verdict, _CSS))


def _page(verdict: Verdict) -> str:
    return f"{verdict.month}/{verdict.gate}.html"


def _write_index(home: Home) -> Path:
    names = "".join(f"<th>{name}" for name in gate.GATES)
    lines = [
        f"{_HEAD}<style>{_CSS}</style><h1>质量门 Gates</h1>",
        f"<table><thead><tr><th>月份 Month{names}</thead><tbody>",
        *(_line(home, month, gate.verdicts(home, month)) for month in _months(home)),
        "</tbody></table></html>",
    ]
    _write(index(home), "\n".join(lines) + "\n")
    return index(home)


def _line(home: Home, month: Month, verdicts: Iterable[Verdict]) -> str:
    found = {verdict.gate: verdict for verdict in verdicts}
    cells = "".join(_cell(home, found.get(name)) for name in gate.GATES)
    return f"<tr><th>{month}{cells}"


def _cell(home: Home, verdict: Verdict | None) -> str:
    if verdict is None:
        return "<td>—"
    words = [f"{len(verdict.checks)} 项 checks"]
    words += [f"{len(verdict.warnings)} 项提醒 warnings"] if verdict.warnings else []
    words += [f"{len(verdict.accepted)} 项已接受 accepted"] if verdict.accepted else []
    state = "通过 passed" if verdict.passed else "<span class=stop>拦截 STOPPED</span>"
    text = f"{state} · {escape(', '.join(words))}"
    link = f'<a href="{_page(verdict)}">{text}</a>'
    return f"<td>{link if (home.data_docs / _page(verdict)).exists() else text}"


def _months(home: Home) -> list[Month]:
    folders = home.gates.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]")
    return sorted((Month(path.name) for path in folders), reverse=True)


def _write(file: Path, text: str) -> None:
    for folder in (file.parents[1], file.parent):  # a parent made in passing is open to all
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)
