"""Hashes of content: exact about values and types, blind to the order of rows."""

from __future__ import annotations

from perfhouse import hashing, warehouse


def test_content_is_hashed_by_value_and_type_whatever_the_order() -> None:
    con = warehouse.connect()
    con.execute("create table a as select * from (values (1, 'x', 0.1), (2, 'y', null)) t(k, t, v)")
    con.execute("create table b as select * from a order by k desc")
    con.execute("create table c as select k::bigint as k, t, v from a")
    con.execute("create table d as select k, t, coalesce(v, 0) as v from a")
    found = {name: hashing.content_sha256(con, name, ("k",)) for name in "abcd"}
    con.close()
    assert found["a"] == found["b"]
    assert found["a"][0] == 2
    assert len({found[name][1] for name in "acd"}) == 3
