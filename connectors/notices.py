"""Sending one message: by e-mail, to WeCom, Slack or a webhook.

Knows the ways and their limits; what is said, to whom and how often is not known here. No address,
key or text is in any error.
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

from connectors.http import Answer, Client, Later, Policy, StaleToken, leased
from perfhouse.company_notices import Channel
from perfhouse.errors import ConfigError, PerfhouseError, TransientError
from perfhouse.settings import Connection, connection

# Bytes of UTF-8 that WeCom takes.
ROBOT_BYTES, APP_BYTES = 4096, 2048
_SECONDS = 30.0
_CUT = "…"
_FOR_GOOD = 500  # of a mail server's codes; below, a later attempt may be taken
_STALE, _BUSY = (40014, 42001), (-1, 45009)
# Messages a minute unless the channel says otherwise. WeCom refuses a robot's twenty-first.
_PER_MINUTE = {"email": 60, "slack": 60, "webhook": 60, "wecom_app": 300, "wecom_robot": 19}
# One attempt: a run again is the retry, and a retry's log line would tell a webhook's address.
_ONCE = Policy(attempts=1, timeout=_SECONDS)
_TOKENS = Policy(attempts=2, timeout=_SECONDS)


@dataclass(frozen=True)
class Message:
    """What goes to one receiver; `key` tells it from every other. `to` is empty for a group."""

    key: str
    subject: str
    body: str
    to: str = ""


class NotNow(TransientError):
    """One receiver is not taken now, such as by a server that greets strangers late; others are."""


class Pace:
    """So many messages a minute of one connection, evenly, from run to run.

    The age of a file tells when the last one went: a run that follows another waits as long.
    """

    def __init__(
        self,
        mark: Path,
        per_minute: float,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._mark, self._seconds = mark, 60 / per_minute
        self._clock, self._sleep = clock, sleep

    def take(self) -> None:
        """Wait until the next message may go, and note that it goes."""
        if self._mark.exists():
            gone = self._clock() - self._mark.stat().st_mtime
            # Never longer than a turn, should the clock have been set back.
            if (left := min(self._seconds - gone, self._seconds)) > 0:
                self._sleep(left)
        self._mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mark.touch(mode=0o600)
        now = self._clock()
        os.utime(self._mark, (now, now))


class Sender:
    """An open way of one channel."""

    def __init__(
        self, channel: Channel, client: Client | smtplib.SMTP, to: Connection, pace: Pace
    ) -> None:
        self._channel, self._client, self._connection = channel, client, to
        self._pace = pace

    def send(self, message: Message) -> None:
        """Send one message, when its turn has come.

        Raises:
            TransientError: it was not taken now (retry). ConfigError: it never will (operator).
        """
        where = f"notices {self._channel.id}"
        self._pace.take()
        try:
            if isinstance(self._client, Client):
                self._post(self._client, message)
            else:
                self._client.send_message(_mail(message, self._channel.sender))
        except (PerfhouseError, smtplib.SMTPException, OSError) as error:
            if isinstance(error, ConfigError) or _code(error) >= _FOR_GOOD:
                raise ConfigError(
                    [f"{where}: the server refuses the message or the receiver"]
                ) from None
            kind = NotNow if isinstance(error, smtplib.SMTPRecipientsRefused) else TransientError
            raise kind(f"{where}: the server did not take the message") from None

    def _post(self, client: Client, message: Message) -> None:
        to = self._connection
        text = f"{message.subject}\n\n{message.body}"
        if self._channel.kind == "wecom_app":
            said = {"touser": message.to, "msgtype": "text", "agentid": int(to.extra["agentid"])}
            body = {**said, "text": {"content": cut(text, APP_BYTES)}}
            client.fetch("POST", "/cgi-bin/message/send", body=body, judge=_judge)
        elif self._channel.kind == "wecom_robot":
            content = cut(f"**{message.subject}**\n{message.body}", ROBOT_BYTES)
            body = {"msgtype": "markdown", "markdown": {"content": content}}
            client.fetch("POST", f"/{to.schema}", to.extra, body=body, judge=_judge)
        elif self._channel.kind == "slack":
            client.fetch("POST", f"/{to.schema}", to.extra, body={"text": text})
        else:
            body = {"key": message.key, "subject": message.subject, "text": message.body}
            client.fetch("POST", f"/{to.schema}", to.extra, body=body)


@contextmanager
def opened(channel: Channel, marks: Path) -> Iterator[Sender]:
    """Open a channel by the connection that it names.

    Args:
        channel: where to.
        marks: a folder of files that tell when a connection was last used.

    Raises:
        ConfigError: there is no such connection, or it is not of this kind (operator).
        TransientError: the mail server does not answer (retry).
    """
    to = connection(channel.connection)
    per_minute = channel.per_minute or _PER_MINUTE[channel.kind]
    pace = Pace(marks / f"{channel.connection}.pace", per_minute)
    if channel.kind == "email":
        with _mail_server(channel, to) as server:
            yield Sender(channel, server, to, pace)
        return
    if to.kind not in ("http", "https"):
        raise ConfigError([f"connection {to.name!r}: expected an https:// address"])
    if channel.kind == "wecom_app" and not to.extra.get("agentid", "").isdigit():
        raise ConfigError([f"connection {to.name!r}: expected ?agentid=... with a number"])
    port = f":{to.port}" if to.port else ""
    with Client(
        f"{to.kind}://{to.host}{port}",
        policy=_TOKENS if channel.kind == "wecom_app" else _ONCE,
        credentials=leased(lambda bare: _token(bare, to), "access_token", "query", "")
        if channel.kind == "wecom_app"
        else None,
    ) as client:
        yield Sender(channel, client, to, pace)


def cut(text: str, most: int) -> str:
    """Return a text of so many bytes at most; a cut one ends with a sign."""
    content = text.encode()
    if len(content) <= most:
        return text
    return content[: most - len(_CUT.encode())].decode(errors="ignore") + _CUT


def _code(error: Exception) -> int:
    """Return the code of a mail server's refusal; 0 of anything else."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max((code for code, _ in error.recipients.values()), default=0)
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0


def _token(bare: Client, to: Connection) -> tuple[str, float]:
    said = bare.get("/cgi-bin/gettoken", {"corpid": to.login, "corpsecret": to.password})
    if said.get("errcode"):
        raise ConfigError([f"connection {to.name!r}: WeCom gives no token"])
    return str(said["access_token"]), float(said.get("expires_in", 7200))


def _judge(answer: Answer) -> None:
    """Read what WeCom answers with HTTP 200."""
    said = json.loads(answer.body or b"{}")
    code = said.get("errcode", 0)
    if code in _STALE:
        raise StaleToken("the token is stale")
    if code in _BUSY:
        raise Later(f"errcode {code}")
    if code or said.get("invaliduser"):
        raise ConfigError([f"errcode {code}"])


def _mail(message: Message, sender: str) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, sender, message.to
    mail["Date"], mail["Message-ID"] = formatdate(), f"<{message.key}@perfhouse.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.body)
    return mail


@contextmanager
def _mail_server(channel: Channel, to: Connection) -> Iterator[smtplib.SMTP]:
    where = f"notices {channel.id}"
    if to.kind not in ("smtp", "smtps"):
        raise ConfigError([f"connection {to.name!r}: expected smtp://host:587 or smtps://host"])
    secure = ssl.create_default_context()
    try:
        if to.kind == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                to.host, to.port or 465, timeout=_SECONDS, context=secure
            )
        else:
            server = smtplib.SMTP(to.host, to.port or 587, timeout=_SECONDS)
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=secure)
                server.ehlo()
            elif to.login:
                server.close()
                raise ConfigError([f"{where}: the server offers no TLS: no password is sent"])
        if to.login:
            server.login(to.login, to.password)
    except (smtplib.SMTPException, OSError) as error:
        if isinstance(error, smtplib.SMTPAuthenticationError) and _code(error) >= _FOR_GOOD:
            raise ConfigError([f"{where}: the mail server refuses the login"]) from None
        raise TransientError(f"{where}: the mail server does not answer as it should") from None
    with server:
        yield server
