"""What is not ours and what must not be here: locked dependencies, and no secret in the tree.

Works without a network. Whether a locked version has a known flaw needs one: `make audit`.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "tests/servers/requirements.lock")
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;]+)")
# Forms that a secret has and nothing else.
FORMS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}",
    "age key": r"AGE-SECRET-KEY-1[0-9A-Z]{20}",
    "AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\bgh[pousr]_[0-9A-Za-z]{30}",
    "GitLab token": r"\bglpat-[0-9A-Za-z_-]{20}",
    "Slack token": r"\bxox[abprs]-[0-9A-Za-z-]{10}",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}",
    "Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{20}",
    "JSON web token": r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10}",
    "password in a URL": r"[a-z]+://[^\s:/@\"'{}$<>]+:(?=[^\s@]*\d)[^\s:/@\"'{}$<>]{12,}@",
}
# A word that is given a value of many different letters.
GIVEN = re.compile(
    r"(?i)(?:password|passwd|secret|token|api_?key|private_?key)[\"']?\s*[:=]\s*"
    r"[\"']([A-Za-z0-9+/_=-]{20,})[\"']"
)
_ENTROPY = 4.0  # bits a letter, which words and names do not reach
# Made up for a test or an example, and known to nobody's system.
KNOWN: frozenset[str] = frozenset()


def tracked() -> list[Path]:
    """List the files of the checkout; of an unpacked archive, all but what tools leave."""
    try:
        told = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return [p for p in ROOT.rglob("*") if p.is_file() and p.parts[len(ROOT.parts)][0] != "."]
    return [ROOT / name for name in told.stdout.split("\0") if name]


def secrets(text: str) -> Iterator[str]:
    """Yield what looks like a secret: its form and where it begins, never all of it."""
    for form, pattern in FORMS.items():
        for found in re.finditer(pattern, text):
            if found[0] not in KNOWN:
                yield f"{form}: {found[0][:16]}..."
    for found in GIVEN.finditer(text):
        if found[1] not in KNOWN and _bits(found[1]) >= _ENTROPY:
            yield f"a value given: {found[0][:24]}..."


def _bits(text: str) -> float:
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def test_no_file_of_the_tree_holds_a_secret() -> None:
    found = []
    for file in tracked():
        if file.is_file() and not file.name.endswith((".lock", "package-lock.json", ".sha512")):
            text = file.read_bytes().decode("utf-8", errors="ignore")
            found += [f"{file.relative_to(ROOT)}: {what}" for what in secrets(text)]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "-----BEGIN OPENSSH PRIVATE " + "KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5v",
        "AGE-SECRET-" + "KEY-1QQQQQQQQQQQQQQQQQQQQ",
        "AKI" + "AIOSFODNN7EXAMPLE",
        "gh" + "p_16C7e42F292c6912E7710c838347Ae178B4a",
        "postgresql://mart:" + "hG7sdf98sdf7kj2@db.example.com/mart",
        'api_key = "' + 'q9Zx7LmW2pRtY8vKcN4bHs6D"',
        '"token": "' + 'q9Zx7LmW2pRtY8vKcN4bHs6D"',
    ],
)
def test_a_planted_secret_is_found(planted: str) -> None:
    assert list(secrets(f"x = 1\n{planted}\n")) != []


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_distribution_has_a_version_and_hashes(name: str) -> None:
    entries = _entries(ROOT / name)
    assert len(entries) > 5
    for entry in entries:
        assert _PINNED.match(entry), entry[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry[:80]
        assert not re.search(r"https?://|git\+|file:|--(?:extra-)?index", entry), entry[:80]


def _entries(lock: Path) -> list[str]:
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    return [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]


def test_what_is_installed_is_what_is_locked() -> None:
    locked = {}
    for entry in _entries(ROOT / LOCKS[0]):
        match = _PINNED.match(entry)
        assert match
        locked[_normal(match[1])] = match[2]
    installed = {_normal(d.name): d.version for d in metadata.distributions()}
    both = locked.keys() & installed.keys()
    assert len(both) > 50
    assert {n: installed[n] for n in both if installed[n] != locked[n]} == {}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_locked_package_of_node_has_a_hash() -> None:
    lock = json.loads((ROOT / "tests/servers/node/package-lock.json").read_text(encoding="utf-8"))
    packages = {name: said for name, said in lock["packages"].items() if name}
    assert packages
    assert [name for name, said in packages.items() if not said.get("integrity")] == []
