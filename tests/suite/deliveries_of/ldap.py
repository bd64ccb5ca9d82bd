"""A directory's people as its pages are archived: the connector itself writes them down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from suite.deliveries import Delivery, Row
from suite.kit import SECRET, Record

PAGE = 10
SOURCE = """
[[sources]]
id = "it"
connector = "ldap"
connection = "it"
owner = "Directory <directory@corp.example>"
base = "dc=corp,dc=example"
backdate = true
[[sources.streams]]
stream = "hr_roster"
"""


def world(count: int) -> list[Record]:
    return [
        {
            "dn": f"uid=p{n},ou=people,dc=corp,dc=example",
            "key": f"uid=p{n},ou=people,dc=corp,dc=example",
            "attributes": {
                "uid": [f"p{n}"],
                "cn": [f"Person {n}"],
                "mail": [f"{SECRET}-{n}@corp.example"],
                "title": [("Agent", "Team Lead")[n % 5 == 0]],
                "employeeNumber": [f"E{n:05d}"],
                "employeeType": ["left" if n % 20 == 19 else "active"],
                "departmentNumber": [f"D{n % 3}"],
                "o": ["Corp"],
                "manager": ["uid=p0,ou=people,dc=corp,dc=example"],
                "createTimestamp": ["20250901120000Z"],
                "modifyTimestamp": ["20260902120000Z"],
                "entryUUID": [f"uuid-{n}"],
            },
        }
        for n in range(count)
    ]


def put(folder: Path, world: Sequence[Row]) -> None:
    (folder / "entries").mkdir(parents=True, exist_ok=True)
    for number, at in enumerate(range(0, max(len(world), 1), PAGE), start=1):
        text = json.dumps(world[at : at + PAGE], ensure_ascii=False)
        (folder / "entries" / f"{number:06d}.json").write_text(text, encoding="utf-8")


def without(record: Record) -> Record:
    values = {k: v for k, v in record["attributes"].items() if k != "employeeNumber"}
    return {**record, "attributes": values}


def with_more(record: Record) -> Record:
    return {**record, "attributes": {**record["attributes"], "zz_brand_new": ["1"]}}


DELIVERIES = (
    Delivery(
        id="ldap",
        connector="ldap",
        source=SOURCE,
        stream="hr_roster",
        world=world,
        put=put,
        key=lambda record: (record["attributes"]["employeeNumber"][0],),
        key_columns=("employee_id",),
        required=without,
        renamed=with_more,
        replayed="a directory is no file: read from OpenLDAP by tests/integration/"
        "test_ldap_server.py",
        unreachable=f"ldap://cn%3Dreader:{SECRET}@127.0.0.1:{{port}}?plain=true",
        reached=SOURCE,
    ),
)
