"""Makes the helpers in this folder importable from every test below it, and the test servers.

It starts nothing itself: a server starts when the first test asks for its fixture.
"""

import pytest

SERVERS = (
    "kamailio", "mariadb", "moto", "postgres", "prism", "ralph", "rt", "scim", "slapd", "sshd",
)  # fmt: skip
SLOW_TO_START = ("rt",)  # twenty seconds of work: one worker runs all of its tests
pytest_plugins = tuple(f"servers.{name}" for name in SERVERS)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Say what a test needs: a server, so that `make test` leaves it out, or certain company.

    With several workers, tests that share what is made once a module stay on one of them; all
    others go to whichever is free.
    """
    names = set(getattr(item, "fixturenames", ()))
    if names & set(SERVERS):
        item.add_marker("server")
    company = next((name for name in SLOW_TO_START if name in names), None)
    if company is None and "module" in _scopes(item):
        company = item.nodeid.partition("::")[0].replace("/", ".")
    if company:
        item.add_marker(pytest.mark.xdist_group(company))


def _scopes(item: pytest.Item) -> set[str]:
    info = getattr(item, "_fixtureinfo", None)
    known = info.name2fixturedefs.values() if info else ()
    return {str(definition.scope) for definitions in known for definition in definitions}
