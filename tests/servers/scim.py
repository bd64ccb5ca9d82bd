"""A SCIM 2.0 service, scim2-server, that holds a company of invented people.

It keeps them in memory; a test that changes someone puts them back.
"""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from servers import process
from servers.people import Person, people

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass(frozen=True)
class Scim:
    """A running SCIM service; `url` ends with the version, `ids` are the service's by number."""

    url: str
    people: tuple[Person, ...]
    ids: Mapping[str, str]
    token: str = field(repr=False)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request as the administrator and return the decoded answer."""
        request = urllib.request.Request(
            self.url + path, method=method, data=json.dumps(body).encode() if body else None,
            headers={
                "Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json",
            },
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None


@pytest.fixture(scope="session")
def scim() -> Iterator[Scim]:
    """A SCIM service with 250 people, their managers and employee numbers."""
    port = process.free_port()
    token = secrets.token_urlsafe(24)
    command = [process.installed("scim2-server"), "--hostname", "127.0.0.1", "--port", str(port)]
    command.append(f"--bearer-token={token}")  # it may begin with a dash
    with (
        process.folder("scim") as folder,
        process.start("scim", command, ready=process.listening(port), log=folder / "scim.log"),
    ):
        ids: dict[str, str] = {}
        service = Scim(f"http://127.0.0.1:{port}/v2", tuple(people(250)), ids, token)
        for person in service.people:
            ids[person.number] = service.call("POST", "/Users", _user(person, ids))["id"]
        yield service


def _user(person: Person, ids: Mapping[str, str]) -> dict[str, Any]:
    work = {"employeeNumber": person.number, "department": person.department}
    manager = {"manager": {"value": ids[person.manager]}} if person.manager else {}
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": person.login,
        "externalId": person.number,
        "name": {"givenName": person.given_name, "familyName": person.family_name},
        "displayName": person.name,
        "title": person.title,
        "active": person.active,
        "emails": [{"value": person.mail, "type": "work", "primary": True}],
        ENTERPRISE: {**work, **manager},
    }
