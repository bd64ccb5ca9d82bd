"""Passes a connector's requests on to a mock that judges them, and its answers back.

What a mock cannot know, such as a next page or a job's state, the test fills in.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from urllib.parse import urlencode

from suite.kit import Exchange, Reply

_PASSED = ("authorization", "content-type", "accept")


def passed_on(mock: str, exchange: Exchange, seed: int | None = None) -> Reply:
    """Return the mock's answer; a request that breaks its specification is one of 422.

    With a seed its values are random ones of the declared types, the same every time.
    """
    request = urllib.request.Request(
        f"{mock}{exchange.path}?{urlencode(exchange.query)}",
        data=exchange.body or None,
        method=exchange.method,
        headers={k: v for k, v in exchange.headers.items() if k in _PASSED}
        | ({} if seed is None else {"Prefer": f"dynamic=true, seed={seed}"}),
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
            return Reply(json.loads(body) if body else b"", answer.status)
    except urllib.error.HTTPError as error:
        return Reply(error.read(), error.code)
