"""An xAPI learning record store, ralph, on a file that the fixture writes first.

Its file backend filters by `timestamp`, not by `stored` as the standard says, and forgets to void.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from servers import process
from servers.people import Person, people

_VERBS = "http://adlnet.gov/expapi/verbs/"
_COURSES = (
    ("onboarding", "新员工入职"), ("privacy", "Privacy, yearly"), ("refunds", "Refunds"),
    ("de-escalation", "情绪安抚"), ("crm", "The CRM"), ("exam-level-2", "二级认证考试"),
)  # fmt: skip
_HASH = (
    "import bcrypt, sys; print(bcrypt.hashpw(sys.stdin.buffer.read(), bcrypt.gensalt(4)).decode())"
)
_START = datetime(2026, 8, 30, 16, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Lrs:
    """A running learning record store and every statement it holds, in the order they were sent."""

    url: str
    user: str
    password: str = field(repr=False)
    statements: tuple[dict[str, Any], ...] = field(repr=False, default=())

    @property
    def authorization(self) -> str:
        """Return the value of the Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@pytest.fixture(scope="session")
def ralph() -> Iterator[Lrs]:
    """A store of some 1,000 statements, 30 August to 3 October 2026."""
    python = process.installed("python")
    port = process.free_port()
    statements = tuple(_statements())
    lrs = Lrs(f"http://127.0.0.1:{port}/xAPI", "perfhouse", secrets.token_hex(12), statements)
    with process.folder("lrs") as folder:
        lines = (json.dumps(s, ensure_ascii=False) + "\n" for s in statements)
        (folder / "statements.jsonl").write_text("".join(lines), encoding="utf-8")
        _allow(python, folder / "auth.json", lrs)
        env = {
            "RALPH_RUNSERVER_BACKEND": "fs",
            "RALPH_BACKENDS__LRS__FS__DEFAULT_DIRECTORY_PATH": str(folder),
            "RALPH_BACKENDS__LRS__FS__DEFAULT_LRS_FILE": "statements.jsonl",
            "RALPH_AUTH_FILE": str(folder / "auth.json"),
            "RALPH_APP_DIR": str(folder),
        }
        # Its own `runserver` watches the folder it was started in, and restarts.
        command = [python, "-m", "uvicorn", "ralph.api:app", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--log-level", "warning"]
        with process.start(
            "ralph", command, ready=lambda: _answers(lrs), log=folder / "ralph.log", env=env
        ):
            yield lrs


def _allow(python: str, file: Path, lrs: Lrs) -> None:
    made = subprocess.run(
        [python, "-c", _HASH], input=lrs.password.encode(), capture_output=True, check=True
    )
    agent = {"mbox": "mailto:reader@corp.example"}
    scopes = ["statements/read"]
    user = {"username": lrs.user, "hash": made.stdout.decode().strip()}
    file.write_text(json.dumps([{**user, "agent": agent, "scopes": scopes}]), encoding="utf-8")


def _answers(lrs: Lrs) -> bool:
    request = urllib.request.Request(
        f"{lrs.url}/statements?limit=1", headers={"Authorization": lrs.authorization}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bool(answer.status == 200)


def _statements() -> Iterator[dict[str, Any]]:
    """Yield what 60 people did in six courses: begun, then passed, failed or left unfinished."""
    at = _START
    n = 0
    for c, course in enumerate(_COURSES):
        for p, person in enumerate(people(60)):
            at = _START + timedelta(days=5 * c, minutes=100 * p)
            for verb, result in _did(c, p):
                at += timedelta(minutes=37)
                yield _statement(n, at, person, verb, course, result)
                n += 1
    yield from _edges(n)


def _did(course: int, person: int) -> Iterator[tuple[str, dict[str, Any] | None]]:
    score = (person * 7 + course * 13) % 101
    yield "initialized", None
    if person % 10 == 9:
        return  # never finished
    duration = f"PT{1 + person % 3}H{person % 60}M{course}.5S"
    result = {
        "completion": True, "success": score >= 60, "duration": duration,
        "score": {"scaled": score / 100, "raw": score, "min": 0, "max": 100},
    }  # fmt: skip
    yield "passed" if score >= 60 else "failed", result
    yield "completed", {"completion": True, "duration": duration}


def _edges(n: int) -> Iterator[dict[str, Any]]:
    """Yield statements exactly at September's edges in Shanghai, and one that voids another."""
    first, *_ = people(1)
    for text in ("2026-08-31T15:59:59.999Z", "2026-08-31T16:00:00.000Z", "2026-09-30T16:00:00Z"):
        at = datetime.fromisoformat(text)
        yield _statement(n, at, first, "completed", ("edge", "Edge"), {"completion": True})
        n += 1
    voided = {
        **_statement(n, datetime(2026, 9, 20, tzinfo=UTC), first, "voided", ("", ""), None),
        "object": {"objectType": "StatementRef", "id": _id(1)},
    }
    yield voided


def _id(n: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://lms.example/statements/{n}"))


def _statement(
    n: int,
    at: datetime,
    person: Person,
    verb: str,
    course: tuple[str, str],
    result: dict[str, Any] | None,
) -> dict[str, Any]:
    account = {"homePage": "https://hr.corp.example", "name": person.number}
    mail = {"mbox": f"mailto:{person.mail}"}
    actor: dict[str, Any] = mail if n % 11 == 5 else {"account": account}
    timestamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "id": _id(n),
        "version": "1.0.3",
        "actor": {"objectType": "Agent", "name": person.name, **actor},
        "verb": {"id": _VERBS + verb, "display": {"en-US": verb}},
        "object": {
            "objectType": "Activity",
            "id": f"https://lms.example/courses/{course[0]}",
            "definition": {
                "type": "http://adlnet.gov/expapi/activities/course", "name": {"zh-CN": course[1]},
            },
        },
        **({"result": result} if result else {}),
        "timestamp": timestamp,
        "stored": timestamp,
        "authority": {"objectType": "Agent", "mbox": "mailto:lms@corp.example"},
    }  # fmt: skip
