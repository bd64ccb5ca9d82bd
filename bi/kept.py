"""Secrets and first passwords, in files that only their owner reads."""

from __future__ import annotations

import csv
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from bi.rights import Given
from perfhouse import settings


def secrets_of(file: Path) -> Mapping[str, str]:
    """Return the secrets of this Superset, made the first time; those that are given go first."""
    if file.exists():
        known = dict(json.loads(file.read_text(encoding="utf-8")))
    else:
        known = {
            "secret_key": secrets.token_hex(32),
            "login_key": secrets.token_hex(32),
            "admin_password": secrets.token_urlsafe(18),
        }
        _write(file, json.dumps(known, indent=2) + "\n")
    given = {
        "secret_key": settings.secret("SUPERSET_SECRET_KEY"),
        "login_key": settings.secret("PERFHOUSE_BI_LOGIN_KEY"),
        "admin_password": settings.secret("PERFHOUSE_BI_ADMIN_PASSWORD"),
    }
    return known | {name: value for name, value in given.items() if value}


def add(file: Path, given: Sequence[Given]) -> None:
    """Add the first passwords of new users to a file that only its owner reads."""
    known: dict[str, tuple[str, str]] = {}
    if file.exists():
        with file.open(encoding="utf-8", newline="") as handle:
            known = {row["user"]: (row["role"], row["password"]) for row in csv.DictReader(handle)}
    known |= {each.username: (each.role, each.password) for each in given}
    lines = [f"{user},{role},{password}" for user, (role, password) in sorted(known.items())]
    _write(file, "\n".join(["user,role,password", *lines]) + "\n")


def _write(file: Path, text: str) -> None:
    draft = file.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)
