"""Signatures: minisign itself believes them, and the same bytes get the same signature."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from perfhouse import signing
from perfhouse.errors import ConfigError


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "a.minisign"
    first = signing.load_or_create(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert signing.public_text(signing.load_or_create(file)) == signing.public_text(first)


def test_the_same_bytes_get_the_same_signature_and_others_none(tmp_path: Path) -> None:
    key = signing.load_or_create(tmp_path / "a.minisign")
    said = signing.sign(key, b"text", "2026-09.r1")
    assert said == signing.sign(key, b"text", "2026-09.r1")
    public = key.get_public_key()
    assert signing.verify(public, b"text", said)
    assert not signing.verify(public, b"texT", said)
    assert not signing.verify(public, b"text", said.replace(b"2026-09.r1", b"2026-09.r2"))
    other = signing.load_or_create(tmp_path / "b.minisign").get_public_key()
    assert not signing.verify(other, b"text", said)
    assert not signing.verify(public, b"text", b"no signature")


def test_what_is_no_key_is_the_operators(tmp_path: Path) -> None:
    (tmp_path / "a.minisign").write_text("not a key", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected a minisign secret key"):
        signing.load_or_create(tmp_path / "a.minisign")


def test_minisign_itself_verifies_what_we_sign(tmp_path: Path) -> None:
    program = shutil.which("minisign")
    if program is None:
        pytest.skip("minisign is not installed")
    key = signing.load_or_create(tmp_path / "a.minisign")
    (tmp_path / "a.pub").write_text(signing.public_text(key), encoding="ascii")
    file = tmp_path / "hr.csv"
    file.write_bytes(b"month\r\n")
    (tmp_path / "hr.csv.minisig").write_bytes(signing.sign(key, file.read_bytes(), "hr.csv"))
    command = [program, "-V", "-p", str(tmp_path / "a.pub"), "-m", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    file.write_bytes(b"Month\r\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
