"""A real mail server of a test's own, on this machine: keeps what it took, refuses what it is told.

Test material; it delivers nothing to anybody.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope


@dataclass
class Mailbox:
    """What a server took; it never takes addresses in `refused`, those in `later` the second time.

    `greeted` are all that it was asked to take.
    """

    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    greeted: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        self.greeted.append(address)
        if address in self.refused:
            return "550 no such user"
        if address in self.later:
            self.later.discard(address)
            return "450 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        self.taken.append(
            (envelope.rcpt_tos[0], message_from_bytes(content, policy=policy.default))
        )
        return "250 OK"


@contextmanager
def serving(box: Mailbox) -> Iterator[str]:
    """Run a server on a free port; its address is an `smtp://` connection."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield f"smtp://127.0.0.1:{port}"
    finally:
        server.stop()
