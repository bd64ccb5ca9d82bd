"""The LDAP connector against OpenLDAP with 5,000 invented people, and against TLS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from landed import Landed
from servers import process
from servers.slapd import Ldap

from perfhouse.errors import ConfigError, PerfhouseError, SourceChanged, TransientError

SOURCE = """
[[sources]]
id = "directory"
connector = "ldap"
connection = "directory"
owner = "HR <hr@corp.example>"
base = "dc=corp,dc=example"
backdate = true
"""
MONTH = "2026-09"


def _connect(
    monkeypatch: pytest.MonkeyPatch, slapd: Ldap, who: str, password: str = "", more: str = ""
) -> None:
    login = who.replace("=", "%3D").replace(",", "%2C")
    signed = f"{login}:{password or slapd.password}"
    monkeypatch.setenv(
        "AIRFLOW_CONN_DIRECTORY",
        f"ldap://{signed}@{slapd.host}:{slapd.port}?{more or 'plain=true'}",
    )


def test_all_five_thousand_land_with_the_number_of_their_manager(
    slapd: Ldap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, slapd, slapd.reader)
    landed = Landed(tmp_path, SOURCE)
    manifest = landed.ingest(MONTH)
    rows = landed.rows(manifest, "hr_roster", "employee_id")
    assert len(rows) == 5_000
    assert {
        key: (
            row["display_name"], row["source_user_id"], row["department_id"],
            row["manager_employee_id"], row["employment_status"],
        )
        for key, row in rows.items()
    } == {
        person.number: (
            person.name, person.login, person.department, person.manager,
            "active" if person.active else "left",
        )
        for person in slapd.people
    }  # fmt: skip
    accounts = landed.rows(manifest, "source_users", "source_user_id").values()
    hashes = {row["employee_no"]: row["email_hash"] for row in accounts}
    assert hashes == {key: row["work_email_hash"] for key, row in rows.items()}
    for stream in manifest.streams.values():
        assert stream.quarantined == 0
        assert not stream.undeclared_fields


def test_the_same_directory_again_changes_nothing(
    slapd: Ldap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, slapd, slapd.reader)
    landed = Landed(tmp_path, SOURCE)
    first = landed.ingest(MONTH)
    again = landed.ingest(MONTH)
    assert again.unchanged
    assert again.manifest_sha256 == first.manifest_sha256


def test_an_answer_cut_off_at_the_size_limit_is_refused_whole_and_the_limit_named(
    slapd: Ldap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, slapd, slapd.limited)
    landed = Landed(tmp_path, SOURCE)
    with pytest.raises(SourceChanged, match=r"size limit, after 500 entries \(result code 4\)"):
        landed.ingest(MONTH)
    assert not list(landed.home.manifests.rglob("*.json"))


def test_a_page_of_odd_size_loses_nobody(
    slapd: Ldap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, slapd, slapd.reader)
    manifest = Landed(tmp_path, SOURCE + "page_size = 777\n").ingest(MONTH)
    assert manifest.streams["hr_roster"].landed == 5_000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('base = "dc=corp,', 'base = "dc=elsewhere,'), "result code 32"),
        (("backdate", 'filter = "(employeeNumber=nobody)"\nbackdate'), "found nobody"),
        (("backdate", 'attributes = ["userPassword"]\nbackdate'), "not userPassword"),
        (("backdate", 'attributes = ["*"]\nbackdate'), r"not \*"),
    ],
)
def test_what_the_operator_got_wrong_is_named(
    slapd: Ldap,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    said: str,
) -> None:
    _connect(monkeypatch, slapd, slapd.reader)
    with pytest.raises(ConfigError, match=said):
        Landed(tmp_path, SOURCE.replace(*change)).ingest(MONTH)


def test_a_wrong_password_is_the_operators_and_is_never_shown(
    slapd: Ldap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, slapd, slapd.reader, "not-the-password")
    with pytest.raises(ConfigError, match="result code 49") as refused:
        Landed(tmp_path, SOURCE).ingest(MONTH)
    assert "not-the-password" not in str(refused.value)


def test_a_password_is_not_sent_readable_unasked(
    slapd: Ldap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, slapd, slapd.reader, more="starttls=false")
    with pytest.raises(ConfigError, match="expected ldaps"):
        Landed(tmp_path, SOURCE).ingest(MONTH)


def test_a_directory_that_is_down_is_tried_again(
    slapd: Ldap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_DIRECTORY", f"ldap://127.0.0.1:{process.free_port()}?plain=true"
    )
    with pytest.raises(TransientError):
        Landed(tmp_path, SOURCE).ingest(MONTH)


# ---------------------------------------------------------------- TLS

_TLS = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
argsfile {folder}/args
loglevel none
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
security simple_bind=128
database mdb
suffix "dc=corp,dc=example"
rootdn "cn=admin,dc=corp,dc=example"
rootpw secret-over-tls
directory {folder}/data
maxsize 16777216
"""
_ONE = """dn: dc=corp,dc=example
objectClass: dcObject
objectClass: organization
dc: corp
o: Corp

dn: uid=ana,dc=corp,dc=example
objectClass: inetOrgPerson
uid: ana
cn: Ana
sn: Boss
employeeNumber: E1
departmentNumber: D1

dn: uid=bo,dc=corp,dc=example
objectClass: inetOrgPerson
uid: bo
cn: Bo
sn: Agent
employeeNumber: E2
departmentNumber: D1
manager: UID=Ana, DC=corp, DC=example
"""


@dataclass(frozen=True)
class Secure:
    """A directory that takes passwords over TLS alone."""

    plain: int
    tls: int
    certificate: Path


@pytest.fixture(scope="module")
def secure(slapd: Ldap) -> Iterator[Secure]:
    daemon = process.program("slapd", package="slapd")
    add = process.program("slapadd", package="slapd")
    openssl = process.program("openssl", package="openssl")
    plain, tls = process.free_port(), process.free_port()
    with process.folder("ldaps") as folder:
        (folder / "data").mkdir()
        certificate = folder / "cert.pem"
        command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        command += ["-keyout", str(folder / "key.pem"), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        config, seed = folder / "slapd.conf", folder / "seed.ldif"
        config.write_text(_TLS.format(folder=folder), encoding="utf-8")
        seed.write_text(_ONE, encoding="utf-8")
        subprocess.run([add, "-q", "-f", str(config), "-l", str(seed)], check=True)
        urls = f"ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/"
        command = [daemon, "-f", str(config), "-h", urls, "-d", "0"]
        ready = process.listening(tls)
        with process.start("slapd", command, ready=ready, log=folder / "slapd.log"):
            yield Secure(plain, tls, certificate)


def _ingest(
    secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, more: str
) -> dict[str, str | None]:
    port = secure.tls if kind == "ldaps" else secure.plain
    login = "cn%3Dadmin%2Cdc%3Dcorp%2Cdc%3Dexample:secret-over-tls"
    monkeypatch.setenv("AIRFLOW_CONN_DIRECTORY", f"{kind}://{login}@localhost:{port}?{more}")
    landed = Landed(tmp_path, SOURCE)
    rows = landed.rows(landed.ingest(MONTH), "hr_roster", "employee_id")
    return {key: row["manager_employee_id"] for key, row in rows.items()}


@pytest.mark.parametrize(("kind", "more"), [("ldaps", ""), ("ldap", "&starttls=true")])
def test_people_come_over_tls_and_a_manager_is_found_whatever_the_spelling(
    secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, more: str
) -> None:
    told = f"ca_file={secure.certificate}{more}"
    found = _ingest(secure, tmp_path, monkeypatch, kind, told)
    assert found == {"E1": None, "E2": "E1"}


@pytest.mark.parametrize(("kind", "more"), [("ldaps", "x=1"), ("ldap", "starttls=true")])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, more: str
) -> None:
    with pytest.raises(PerfhouseError) as refused:
        _ingest(secure, tmp_path, monkeypatch, kind, more)
    assert "secret-over-tls" not in str(refused.value)


def test_a_directory_that_wants_tls_says_so(
    secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="use ldaps or starttls"):
        _ingest(secure, tmp_path, monkeypatch, "ldap", "plain=true")
