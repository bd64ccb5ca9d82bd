"""Pages of an API: one request after the other until the source says that it was the last.

Paginators are plain generators; a page that repeats or never ends is an error, never a silent end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from perfhouse.errors import SourceChanged

MOST_PAGES = 100_000


@dataclass(frozen=True)
class Request:
    """One call that has not been made: what a dry run shows. Credentials are no part of it.

    A `label` (such as a survey's id) becomes a folder of the archive below the endpoint's.
    """

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    method: str = "GET"
    label: str = ""

    def but(self, **params: Any) -> Request:
        """Return the request with other parameters; None takes one away."""
        merged = {**self.params, **params}
        return replace(self, params={k: v for k, v in merged.items() if v is not None})

    def saying(self, **body: Any) -> Request:
        """Return the request with other fields of its JSON body."""
        return replace(self, body={**(self.body or {}), **body})

    def identity(self) -> bytes:
        """Return bytes that are equal for equal requests."""
        return msgspec.json.encode(
            (self.method, self.path, sorted(self.params.items(), key=str), self.body),
            order="sorted",
        )

    def __str__(self) -> str:
        """Write the request for people."""
        pairs = [(n, v if isinstance(v, list | tuple) else [v]) for n, v in self.params.items()]
        query = "&".join(f"{name}={value}" for name, values in pairs for value in values)
        body = f" {msgspec.json.encode(self.body).decode()}" if self.body is not None else ""
        return f"{self.method} {self.path}{'?' if query else ''}{query}{body}"


class Page:
    """One answer: its bytes, and its envelope decoded no further than it is asked for."""

    def __init__(
        self, body: bytes, request: Request, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = body
        self.request = request
        self.headers = dict(headers or {})
        self._records: dict[str, list[msgspec.Raw]] = {}
        self._mended: bytes | None = None

    def at(self, path: str, default: Any = None) -> Any:
        """Return the value at `a.b.c`, or the default where there is none."""
        raw = self._raw(path)
        return default if raw is None else msgspec.json.decode(raw)

    def records(self, path: str) -> list[msgspec.Raw]:
        """Return the raw records of the list at a path; `""` is the page itself.

        Raises:
            SourceChanged: there is neither a list nor an object (connector author).
        """
        if path not in self._records:
            self._records[path] = self._listed(path)
        return self._records[path]

    def last(self, path: str) -> Any:
        """Return the last record of a list, decoded; None where it is empty."""
        found = self.records(path)
        return msgspec.json.decode(found[-1]) if found else None

    def _listed(self, path: str) -> list[msgspec.Raw]:
        body = self.body if self._mended is None else self._mended
        try:
            return _list_at(path)(body)
        except msgspec.DecodeError:
            return self._patiently_listed(path)

    def _patiently_listed(self, path: str) -> list[msgspec.Raw]:
        raw = self._raw(path)
        if raw is None:
            raise SourceChanged(f"{self.request.path}: the answer has no {path!r}")
        try:
            return list(msgspec.json.decode(raw, type=list[msgspec.Raw]))
        except msgspec.DecodeError:
            if bytes(raw).lstrip()[:1] == b"{":
                return [msgspec.Raw(raw)]
        raise SourceChanged(f"{self.request.path}: {path!r} is no list of records")

    def mended(self) -> bytes:
        """Return the body with `?` for half characters, where strict JSON would refuse it whole.

        Only for the envelope: what is archived and landed is the body as it came. ValueError
        where it is no JSON at all.
        """
        if self._mended is None:
            text = json.dumps(json.loads(self.body), ensure_ascii=False)
            self._mended = text.encode("utf-8", "replace")
        return self._mended

    def _raw(self, path: str) -> Any:
        raw: Any = self.body if self._mended is None else self._mended
        for step in path.split(".") if path else ():
            try:
                raw = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get(step)
            except msgspec.DecodeError:
                return None
            if raw is None:
                return None
        return raw


@cache
def _list_at(path: str) -> Callable[[bytes], list[msgspec.Raw]]:
    """Return what cuts a list out of a page in one go; it raises DecodeError where it cannot."""
    kind: Any = list[msgspec.Raw]
    steps = path.split(".") if path else []
    for step in reversed(steps):
        kind = msgspec.defstruct("Envelope", [("inner", kind)], rename={"inner": step})
    decode = msgspec.json.Decoder(kind).decode

    def cut(body: bytes) -> list[msgspec.Raw]:
        value: Any = decode(body)
        for _ in steps:
            value = value.inner
        return list(value)

    return cut


Send = Callable[[Request], Page]
Following = Callable[[Request, Page], Request | None]


def pages(send: Send, first: Request, following: Following) -> Iterator[Page]:
    """Yield page after page; `following` gives the next request or None at the end.

    Raises:
        SourceChanged: the source asks for a request that was made already, or never ends.
    """
    seen: set[bytes] = set()
    last: bytes | None = None
    request: Request | None = first
    while request is not None:
        identity = request.identity()
        if identity in seen:
            raise SourceChanged(f"{request.path}: the source repeats a page ({len(seen)} so far)")
        if len(seen) >= MOST_PAGES:
            raise SourceChanged(f"{request.path}: more than {MOST_PAGES:,} pages")
        seen.add(identity)
        page = send(request)
        if page.body == last:
            raise SourceChanged(f"{request.path}: the source sent page {len(seen)} twice")
        last = page.body
        yield page
        request = following(request, page)


def only(_: Request, __: Page) -> Request | None:
    """Follow nothing: the first answer is the only one."""
    return None


def by_cursor(
    field: str, param: str, end: str | None = None, drop: tuple[str, ...] = (), body: bool = False
) -> Following:
    """Follow the cursor at `field`, sent back as `param` in the query or in a POST's `body`.

    A null, empty or absent cursor is the end, and so is a true flag at `end`. Parameters in
    `drop` are only for the first request.
    """

    def following(request: Request, page: Page) -> Request | None:
        cursor = page.at(field)
        if cursor in (None, "") or (end is not None and page.at(end) is True):
            return None
        if body:
            return request.saying(**{param: cursor})
        return request.but(**dict.fromkeys(drop), **{param: cursor})

    return following


def by_link(field: str | None) -> Following:
    """Follow a link in the page (None: the `Link` header's `next`), on our own host only."""

    def following(request: Request, page: Page) -> Request | None:
        link = _header_link(page.headers.get("link", "")) if field is None else page.at(field)
        if not link:
            return None
        return linked(request, str(link))

    return following


def linked(request: Request, link: str) -> Request:
    """Return the request a link names: its path and query, never its host.

    Credentials go with every call, so a page must not be able to send them elsewhere.
    """
    parts = urlsplit(link)
    path = parts.path or request.path
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return replace(request, path=path, params=query)


def by_page(
    param: str,
    records: str,
    size: int,
    pages: str | None = None,
    first: int = 1,
    body: bool = False,
) -> Following:
    """Count `param` up from `first` until a page has fewer than `size` records.

    Where the page tells the number of pages at `pages`, that many are read instead.
    """

    def following(request: Request, page: Page) -> Request | None:
        place = request.body or {} if body else request.params
        here = int(place.get(param, first))
        if pages is not None:
            last = number(page.at(pages)) or 0
            done = here - first + 1 >= last
        else:
            done = len(page.records(records)) < size
        if done:
            return None
        step = {param: here + 1}
        return request.saying(**step) if body else request.but(**step)

    return following


def by_offset(param: str, records: str, total: str, first: int = 1) -> Following:
    """Move on by the records received until the told total is reached, or a page is empty."""

    def following(request: Request, page: Page) -> Request | None:
        got = len(page.records(records))
        here = int(request.params.get(param, first))
        beyond = here - first + got
        if not got or beyond >= (number(page.at(total)) or 0):
            return None
        return request.but(**{param: here + got})

    return following


def number(value: Any) -> int | None:
    """Return a vendor's count, which may come as 3, 3.0 or "3"."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _header_link(text: str) -> str | None:
    for part in text.split(","):
        target, _, rest = part.partition(";")
        if 'rel="next"' in rest.replace("'", '"'):
            return target.strip().strip("<>")
    return None
