"""Sending one message: by e-mail, to WeCom, Slack or a webhook.

Knows the ways and their limits; what is said, to whom and how often is not known here. No address,
key or text is in any error.
"""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate

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
# One attempt: a run again is the retry, and a retry's log line would tell a webhook's address.
_ROBOT = Policy(attempts=1, timeout=_SECONDS, per_second=20 / 60)
_OTHER = Policy(attempts=1, timeout=_SECONDS, per_second=1)
_TOKENS = Policy(attempts=2, timeout=_SECONDS, per_second=5)


@dataclass(frozen=True)
class Message:
    """What goes to one receiver; `key` tells it from every other. `to` is empty for a group."""

    key: str
    subject: str
    body: str
    to: str = ""


class NotNow(TransientError):
    """One receiver is not taken now, such as by a server that greets strangers late; others are."""


class Sender:
    """An open way of one channel."""

    def __init__(self, channel: Channel, client: Client | smtplib.SMTP, to: Connection) -> None:
        self._channel, self._client, self._connection = channel, client, to

    def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            TransientError: it was not taken now (retry). ConfigError: it never will (operator).
        """
        where = f"notices {self._channel.id}"
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
def opened(channel: Channel) -> Iterator[Sender]:
    """Open a channel by the connection that it names.

    Raises:
        ConfigError: there is no such connection, or it is not of this kind (operator).
        TransientError: the mail server does not answer (retry).
    """
    to = connection(channel.connection)
    if channel.kind == "email":
        with _mail_server(channel, to) as server:
            yield Sender(channel, server, to)
        return
    if to.kind not in ("http", "https"):
        raise ConfigError([f"connection {to.name!r}: expected an https:// address"])
    if channel.kind == "wecom_app" and not to.extra.get("agentid", "").isdigit():
        raise ConfigError([f"connection {to.name!r}: expected ?agentid=... with a number"])
    port = f":{to.port}" if to.port else ""
    with Client(
        f"{to.kind}://{to.host}{port}",
        policy={"wecom_robot": _ROBOT, "wecom_app": _TOKENS}.get(channel.kind, _OTHER),
        credentials=leased(lambda bare: _token(bare, to), "access_token", "query", "")
        if channel.kind == "wecom_app"
        else None,
    ) as client:
        yield Sender(channel, client, to)


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
