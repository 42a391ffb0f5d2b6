"""Guard in front of the page: host names, requests of other sites, sizes, security headers."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fusion.serve.limits import FORBIDDEN, TOO_LARGE, TOO_SLOW, in_megabytes, shortened

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "::1")

EVERY_ADDRESS = ("0.0.0.0", "::", "")
"""Hosts that stand for every address of a machine."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

OWN_SITE = ("same-origin", "none")
"""Values of Sec-Fetch-Site of the page itself, and of an address typed by the user."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The page loads its own files alone; no script or style stands inside it."""

HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}

FORM_BYTES = 10_000
"""Bytes of a request next to the file or text that it carries."""

SECONDS_FOR_PART = 30
"""Longest wait for the next part of a body; a connection that sends nothing holds no memory."""

DRAINED = 16
"""A body up to this many times the limit is read to its end, so that the browser reads why it is
refused."""


@dataclass(frozen=True)
class Hosts:
    """Names by which a browser may ask for the page.

    A page of another site can make its own name point to this machine (DNS rebinding); the browser
    then sends that name.

    Attributes:
        names: allowed, in lower case.
        is_any_address: whether every IP address is allowed too: the server listens on all of them.
    """

    names: frozenset[str]
    is_any_address: bool = False

    @classmethod
    def of(cls, host: str, address: str | None = None) -> Hosts:
        """Names of a server that listens on a host, such as ``"127.0.0.1"`` or ``"0.0.0.0"``.

        Args:
            host: as the user names it.
            address: that it stands for, where it has another name: ``"0.0.0.0"`` for ``"0"``.
        """
        address = host if address is None else address
        names = {*LOOPBACK, host.lower(), address.lower()}
        if host.lower() not in LOOPBACK:
            names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        return cls(frozenset(names - {""}), address in EVERY_ADDRESS)

    def allows(self, header: str) -> bool:
        """Whether a ``Host`` header, with or without a port, is one of these names."""
        try:
            place = urlsplit(f"//{header}")
            name = (place.hostname or "").lower()
            is_plain = place.port is None or place.port > 0
        except ValueError:
            return False
        if not is_plain or place.path or place.query or place.fragment or place.username:
            return False
        return name in self.names or (self.is_any_address and _is_address(name))


class Guard:
    """ASGI middleware that refuses requests of other sites and bodies that are too large.

    Args:
        app: the application behind it.
        hosts: allowed names.
        max_body: most bytes of a body, without `FORM_BYTES`.
    """

    def __init__(self, app: App, hosts: Hosts, max_body: int) -> None:
        self.app = app
        self.hosts = hosts
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
            send = _without_body(send)
        problem = refusal(scope, self.hosts)
        if problem:
            await _refuse(send, FORBIDDEN, problem)
            return
        limit = self.max_body + FORM_BYTES
        try:
            body = None if _declared(scope) > DRAINED * limit else await _body(receive, limit)
        except TimeoutError:
            waited = f"the rest of the request did not come within {SECONDS_FOR_PART} s"
            await _refuse(send, TOO_SLOW, waited)
            return
        if body is None:
            most = in_megabytes(self.max_body)
            await _refuse(send, TOO_LARGE, f"the request is larger than {most}, the limit here")
            return
        await self.app(scope, _replayed(body, receive), _with_headers(send))


def refusal(scope: Scope, hosts: Hosts) -> str:
    """Why a request is refused by its headers; empty where it is not.

    Args:
        scope: of the request.
        hosts: allowed names.
    """
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    host = headers.get("host", [])
    if len(host) != 1 or not hosts.allows(host[0]):
        found = shortened(", ".join(host)) or "none"
        return f"the host name {found} is not one of this server; use one of the start line"
    is_read = scope["method"] in SAFE_METHODS
    is_of_api = scope["path"].startswith("/api/")
    if is_read and not is_of_api:
        return ""
    sites = headers.get("sec-fetch-site", [])
    if any(site not in OWN_SITE for site in sites):
        return "a request of another site; only the page of this server may ask"
    allowed = {f"http://{host[0]}".lower(), f"https://{host[0]}".lower()}
    if any(origin.lower() not in allowed for origin in headers.get("origin", [])):
        return "a request of another origin; only the page of this server may ask"
    return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _declared(scope: Scope) -> int:
    """Bytes of the body as the request declares them; 0 where it does not."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(value) for value in lengths if value.isdigit()), default=0)


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The body of a request; None where it is larger than a limit.

    Raises:
        TimeoutError: its next part does not come.
    """
    parts: list[bytes] = []
    n_bytes = 0
    while True:
        message = await asyncio.wait_for(receive(), SECONDS_FOR_PART)
        if message["type"] != "http.request":
            return b"".join(parts)
        part = message.get("body", b"")
        n_bytes += len(part)
        if n_bytes <= limit:
            parts.append(part)
        else:
            parts.clear()
        if not message.get("more_body", False):
            return b"".join(parts) if n_bytes <= limit else None
        if n_bytes > DRAINED * limit:
            return None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Give the body to the application as one message, then what follows it."""
    is_given = False

    async def replay() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", [])}
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            new = [(name, value) for name, value in added if name not in given]
            message = {**message, "headers": [*message.get("headers", []), *new]}
        await send(message)

    return send_with_headers


def _without_body(send: Send) -> Send:
    """Answer HEAD as GET without its content."""

    async def send_without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_without_body


async def _refuse(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    send = _with_headers(send)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
