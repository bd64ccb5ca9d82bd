"""A real Chromium, spoken to by its own protocol: logs in, opens pages, tells what they asked for.

Test material; it knows Superset's login form and no dashboard.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_SECONDS = 120.0


@dataclass
class Page:
    """One page of a browser; `requests` are the addresses it asked for, `blocked` those refused."""

    socket: ClientConnection
    requests: dict[str, str] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    _count: int = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; what happens meanwhile is noted."""
        self._count += 1
        number = self._count
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            said = json.loads(self.socket.recv(timeout=_SECONDS))
            if said.get("id") == number:
                assert "error" not in said, said
                return dict(said["result"])
            self._note(said)
        raise AssertionError(f"{method}: no answer")

    def _note(self, said: dict[str, Any]) -> None:
        params = said.get("params", {})
        if said.get("method") == "Network.requestWillBeSent":
            self.requests[params["requestId"]] = params["request"]["url"]
        elif said.get("method") == "Network.loadingFailed" and params.get("blockedReason"):
            self.blocked.add(params["requestId"])

    def run(self, script: str) -> Any:
        """Return what a script says."""
        said = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def pause(self, seconds: float) -> None:
        """Let the page go on, noting what it asks for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.run("1")
            time.sleep(0.25)

    def until(self, script: str, seconds: float = _SECONDS) -> None:
        """Wait until a script says true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.run(script) is True:
                return
            time.sleep(0.25)
        raise AssertionError(f"not within {seconds:g} s: {script}\n{self.run(TEXT)[:2000]}")

    def outside(self, host: str) -> list[str]:
        """Return what the page really asked of others than this host."""
        return sorted(
            url
            for number, url in self.requests.items()
            if number not in self.blocked
            and url.startswith("http")
            and urlsplit(url).netloc != host
        )

    def picture(self, file: Path) -> None:
        """Keep what is seen as PNG."""
        said = self.call("Page.captureScreenshot", format="png")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(said["data"]))


TEXT = "document.body ? document.body.innerText : ''"


@contextmanager
def page(profile: Path, width: int, height: int) -> Iterator[Page]:
    """Open a browser with one empty page of a size."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--no-first-run", "--hide-scrollbars", "--lang=zh-CN", f"--user-data-dir={profile}",
        "--disable-dev-shm-usage", "about:blank",
    ]  # fmt: skip
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _port(profile)
        targets = httpx.get(f"http://127.0.0.1:{port}/json/list").json()
        address = next(t for t in targets if t["type"] == "page")["webSocketDebuggerUrl"]
        with connect(address, max_size=None, proxy=None) as socket:
            opened = Page(socket)
            for domain in ("Page", "Network", "Runtime"):
                opened.call(f"{domain}.enable")
            opened.call(
                "Emulation.setDeviceMetricsOverride",
                width=width, height=height, deviceScaleFactor=1, mobile=False,
            )  # fmt: skip
            yield opened
    finally:
        browser.terminate()
        browser.wait(30)


def _port(profile: Path) -> int:
    file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if file.exists() and "\n" in (text := file.read_text(encoding="utf-8")):
            return int(text.splitlines()[0])
        time.sleep(0.1)
    raise AssertionError("Chromium did not start")


def session(url: str, username: str, password: str) -> str:
    """Log in as people do, by the form, and return the session's cookie."""
    with httpx.Client(base_url=url, timeout=60, follow_redirects=True) as client:
        return _cookie(client, url, username, password)


def _cookie(client: httpx.Client, url: str, username: str, password: str) -> str:
    form = client.get("/login/").text
    token = re.search(r'csrf_token["\']?[^>]*?value=["\']([^"\']+)', form) or re.search(
        r"csrf_token&#34;: &#34;([^&]+)&#34;", form
    )
    data = {"username": username, "password": password}
    if token:
        data["csrf_token"] = token[1]
    answer = client.post("/login/", data=data, headers={"Referer": f"{url}/login/"})
    assert answer.status_code == 200, answer.status_code
    return str(client.cookies["session"])


def enter(opened: Page, url: str, cookie: str) -> None:
    """Give a page the cookie of a session."""
    opened.call(
        "Network.setCookie", name="session", value=cookie, url=url,
        httpOnly=True,
    )  # fmt: skip
