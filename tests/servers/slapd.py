"""OpenLDAP with a company of invented people, loaded offline before it starts.

The distribution's directory, running or not, is left alone.
"""

from __future__ import annotations

import base64
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servers import process
from servers.people import Person, people

_BASE = "dc=corp,dc=example"
_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
argsfile {folder}/args
loglevel none
database mdb
suffix "{base}"
rootdn "cn=admin,{base}"
rootpw {password}
directory {folder}/data
maxsize 268435456
dbnosync
index objectClass,uid,employeeNumber,modifyTimestamp,entryCSN,entryUUID eq
limits dn.exact="cn=reader,{base}" size=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=reader,{base}" read by dn.exact="cn=limited,{base}" read by * none
"""


@dataclass(frozen=True)
class Ldap:
    """A running directory; `reader` sees every entry, `limited` the first 500 of a search only.

    Both bind with `password`; `admin` may write.
    """

    url: str
    host: str
    port: int
    base: str
    people: tuple[Person, ...]
    reader: str
    limited: str
    admin: str
    password: str = field(repr=False)

    def dn(self, number: str) -> str:
        """Return the name of an employee's entry."""
        return f"employeeNumber={number},ou=people,{self.base}"


@pytest.fixture(scope="session")
def slapd() -> Iterator[Ldap]:
    """A directory of 5,000 people whose `manager` is the name of another entry."""
    daemon = process.program("slapd", package="slapd")
    add = process.program("slapadd", package="slapd")
    port = process.free_port()
    password = secrets.token_hex(12)
    url = f"ldap://127.0.0.1:{port}"
    with process.folder("ldap") as folder:
        directory = Ldap(
            url, "127.0.0.1", port, _BASE, tuple(people(5000)), f"cn=reader,{_BASE}",
            f"cn=limited,{_BASE}", f"cn=admin,{_BASE}", password,
        )  # fmt: skip
        (folder / "data").mkdir()
        config = folder / "slapd.conf"
        config.write_text(
            _CONFIG.format(folder=folder, base=_BASE, password=password), encoding="utf-8"
        )
        _load(add, config, directory)
        command = [daemon, "-f", str(config), "-h", url, "-d", "0"]
        with process.start(
            "slapd", command, ready=process.listening(port), log=folder / "slapd.log"
        ):
            yield directory


def _load(add: str, config: Path, directory: Ldap) -> None:
    entries = [
        f"dn: {_BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: corp\no: Corp\n",
        f"dn: ou=people,{_BASE}\nobjectClass: organizationalUnit\nou: people\n",
        *(
            f"dn: cn={name},{_BASE}\nobjectClass: simpleSecurityObject\n"
            f"objectClass: organizationalRole\ncn: {name}\nuserPassword: {directory.password}\n"
            for name in ("reader", "limited")
        ),
        *(_entry(directory, person) for person in directory.people),
    ]
    ldif = config.with_name("seed.ldif")
    ldif.write_text("\n".join(entries), encoding="utf-8")
    command = [add, "-q", "-f", str(config), "-l", str(ldif)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"slapadd: {done.stderr[-2000:]}")


def _entry(directory: Ldap, person: Person) -> str:
    lines = {
        "uid": person.login, "cn": person.name, "sn": person.family_name,
        "givenName": person.given_name, "mail": person.mail, "title": person.title,
        "employeeNumber": person.number, "departmentNumber": person.department,
        "employeeType": "active" if person.active else "left",
    }  # fmt: skip
    if person.manager:
        lines["manager"] = directory.dn(person.manager)
    text = "".join(
        f"{name}:: {base64.b64encode(value.encode()).decode()}\n" for name, value in lines.items()
    )
    return f"dn: {directory.dn(person.number)}\nobjectClass: inetOrgPerson\n{text}"
