"""Makes the helpers in this folder importable from every test below it, and the test servers.

It starts nothing itself: a server starts when the first test asks for its fixture.
"""

import gc

import pytest

# dbt's objects live as long as the process: looked through often, they cost a tenth of all builds.
gc.set_threshold(100_000, 50, 100)

SERVERS = (
    "kamailio", "mariadb", "moto", "postgres", "prism", "prometheus", "ralph", "rt", "scim",
    "slapd", "sshd",
)  # fmt: skip
pytest_plugins = ("played_back", *(f"servers.{name}" for name in SERVERS))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test that asks for a server, so that `make test` leaves it out."""
    if set(SERVERS) & set(getattr(item, "fixturenames", ())):
        item.add_marker("server")
