"""Pages follow each other to the told end, and a source that goes round in circles is told so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from connectors.paging import (
    Page,
    Request,
    by_cursor,
    by_link,
    by_offset,
    by_page,
    linked,
    number,
    only,
    pages,
)
from perfhouse.errors import SourceChanged


def sending(reply: Callable[[Request], Any]) -> tuple[Callable[[Request], Page], list[Request]]:
    seen: list[Request] = []

    def send(request: Request) -> Page:
        seen.append(request)
        return Page(msgspec.json.encode(reply(request)), request)

    return send, seen


def numbers(found: list[Page], path: str = "rows") -> list[int]:
    return [n for page in found for n in page.at(path)]


def test_a_cursor_is_followed_to_its_end() -> None:
    feed = {None: ([1, 2], "b"), "b": ([3], "c"), "c": ([4], "")}
    send, seen = sending(
        lambda r: dict(zip(("rows", "next"), feed[r.params.get("cursor")], strict=True))
    )
    first = Request("/x", {"start_time": 5})
    found = list(pages(send, first, by_cursor("next", "cursor", drop=("start_time",))))
    assert numbers(found) == [1, 2, 3, 4]
    assert [dict(r.params) for r in seen] == [{"start_time": 5}, {"cursor": "b"}, {"cursor": "c"}]


def test_a_flag_can_end_a_cursor_that_is_still_given() -> None:
    send, seen = sending(lambda r: {"rows": [1], "after": "same", "end": True})
    assert len(list(pages(send, Request("/x"), by_cursor("after", "cursor", end="end")))) == 1
    assert len(seen) == 1


def test_a_cursor_can_go_back_in_the_body() -> None:
    send, seen = sending(lambda r: {"rows": [], "next": None if r.body["cursor"] else "2"})
    first = Request("/x", body={"cursor": "", "limit": 9}, method="POST")
    assert len(list(pages(send, first, by_cursor("next", "cursor", body=True)))) == 2
    assert seen[1].body == {"cursor": "2", "limit": 9}


@pytest.mark.parametrize("told", [3, 3.0, "3"])
def test_pages_are_counted_up_to_the_told_number(told: Any) -> None:
    send, seen = sending(lambda r: {"rows": [r.params["page"]], "pages": told})
    found = list(pages(send, Request("/x", {"page": 1}), by_page("page", "rows", 9, "pages")))
    assert numbers(found) == [1, 2, 3]
    send, seen = sending(lambda r: {"rows": [r.params["page"]], "pages": told})
    follow = by_page("page", "rows", 9, "pages", first=0)
    assert numbers(list(pages(send, Request("/x", {"page": 0}), follow))) == [0, 1, 2]
    assert len(seen) == 3


def test_a_short_page_is_the_last_where_nothing_is_told() -> None:
    send, _ = sending(
        lambda r: {"rows": list(range(2 if r.params["page"] < 3 else 1)), "p": r.params["page"]}
    )
    found = list(pages(send, Request("/x", {"page": 1}), by_page("page", "rows", 2)))
    assert [len(p.records("rows")) for p in found] == [2, 2, 1]


def test_an_offset_moves_by_what_came_even_if_less_was_sent_than_asked() -> None:
    everything = list(range(7))

    def reply(request: Request) -> Any:
        at = int(request.params["startIndex"]) - 1
        return {"Resources": everything[at : at + 3], "totalResults": 7}

    send, seen = sending(reply)
    first = Request("/Users", {"startIndex": 1, "count": 100})
    found = list(pages(send, first, by_offset("startIndex", "Resources", "totalResults")))
    assert numbers(found, "Resources") == everything
    assert [r.params["startIndex"] for r in seen] == [1, 4, 7]


def test_a_link_is_followed_on_our_own_host_only() -> None:
    links = {"": "https://evil.test/x?page=2&q=a%20b", "2": ""}
    send, seen = sending(lambda r: {"more": links[r.params.get("page", "")]})
    list(pages(send, Request("/x"), by_link("more")))
    assert (seen[1].path, seen[1].params) == ("/x", {"page": "2", "q": "a b"})
    assert linked(Request("/a/b"), "?page=3").path == "/a/b"


def test_the_link_header_is_read_too() -> None:
    follow = by_link(None)
    headers = {"link": '</y?page=1>; rel="prev", </y?page=3>; rel="next"'}
    request = follow(Request("/y"), Page(b"[]", Request("/y"), headers))
    assert request is not None
    assert request.params == {"page": "3"}
    assert follow(Request("/y"), Page(b"[]", Request("/y"))) is None


def test_a_source_that_asks_for_the_same_again_is_refused() -> None:
    send, seen = sending(lambda r: {"rows": [len(seen)], "next": "again"})
    with pytest.raises(SourceChanged, match="/x: the source repeats a page"):
        list(pages(send, Request("/x"), by_cursor("next", "cursor")))
    assert len(seen) == 2


def test_the_same_page_under_another_number_is_refused() -> None:
    send, seen = sending(lambda r: {"rows": [1, 2]})
    with pytest.raises(SourceChanged, match="twice"):
        list(pages(send, Request("/x", {"page": 1}), by_page("page", "rows", 2)))
    assert len(seen) == 2


def test_a_source_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.paging.MOST_PAGES", 10)
    send, seen = sending(lambda r: {"next": len(seen)})
    with pytest.raises(SourceChanged, match="more than 10 pages"):
        list(pages(send, Request("/x"), by_cursor("next", "cursor")))
    assert len(seen) == 10


def test_an_envelope_is_decoded_no_further_than_asked_and_records_stay_verbatim() -> None:
    page = Page(b'{"data": {"list": [ {"a" : 1.0} ], "n": "2"}, "bad": 1e999}', Request("/x"))
    assert page.at("data.n") == "2"
    assert [bytes(r) for r in page.records("data.list")] == [b'{"a" : 1.0}']
    assert page.at("data.none") is None
    assert page.at("data.n.deeper", 7) == 7
    assert len(page.records("data")) == 1
    with pytest.raises(SourceChanged, match="no 'rows'"):
        page.records("rows")
    with pytest.raises(SourceChanged, match="no list of records"):
        page.records("data.n")


def test_requests_are_shown_without_anything_that_is_not_in_them() -> None:
    request = Request("/x", {"a": 1}, {"b": 2}, "POST")
    assert str(request) == 'POST /x?a=1 {"b":2}'
    assert request.but(a=None, c=3).params == {"c": 3}
    assert only(request, Page(b"{}", request)) is None
    assert [number(v) for v in (3, 3.0, "3", None, "x", float("inf"))] == [
        3,
        3,
        3,
        None,
        None,
        None,
    ]
