"""Server of the page: address, start, end."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from collections.abc import Callable
from pathlib import Path

from fusion.serve.guard import EVERY_ADDRESS, Hosts
from fusion.serve.limits import Limits
from fusion.serve.service import open_service
from mirnagraph.errors import ConfigError, import_extra
from mirnagraph.parallel import one_thread

EXTRA = "web"
WHY = "`mirnagraph serve`"

MODULES = {"fastapi": None, "uvicorn": None, "python_multipart": "python-multipart", "jinja2": None}
"""Modules of the extra -> name of the package where it differs."""

SECONDS_TO_END = 3
"""Seconds that requests have to end after Ctrl-C."""


def serve(
    folder: str | Path,
    *,
    networks: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: Limits | None = None,
    started: Callable[[str, str, bool], None] | None = None,
) -> None:
    """Serve the page of a model until the process is interrupted.

    Args:
        folder: see `fusion.serve.service.open_service`.
        networks: likewise.
        host: name or address to listen on.
        port: 0 for a free one.
        limits: of the server.
        started: called once it answers, with the title of the model, the address of the page, and
            whether only this machine can reach it.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        ConfigError: the host is unknown, or the port is in use.
        CheckpointError, InputError: see `open_service`.
    """
    for module, package in MODULES.items():
        import_extra(module, EXTRA, WHY, package=package)
    import uvicorn

    from fusion.serve.app import create_app

    with listen(host, port) as listener, one_thread():
        service = open_service(folder, networks=networks, limits=limits)
        service.warm()
        app = create_app(service, Hosts.of(host, listener.getsockname()[0]))
        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",  # nothing to start; a signal in between would print a traceback
            timeout_graceful_shutdown=SECONDS_TO_END,
        )
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # malformed forms are refused
        if started is not None:
            started(service.title, address_of(host, listener), is_loopback(listener))
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            service.jobs.close()


def listen(host: str, port: int) -> socket.socket:
    """Listen on a port.

    Raises:
        ConfigError: the host is no address of this machine, or the port cannot be used.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise ConfigError(f"--host {host!r} is unknown; expected a name or an address") from None
    family, kind, protocol, _, address = found[0]
    if _is_no_place(str(address[0])):
        raise ConfigError(f"--host {host!r} is no address of this machine")
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        raise ConfigError(_why_not(error, host, port)) from None
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; choose another with --port (0: any free one)"
    if error.errno == errno.EACCES:
        return f"port {port} is for administrators; choose one from 1024 on with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host!r} is no address of this machine"
    return f"--host {host!r} with port {port} cannot be used ({error.strerror})"


def _is_no_place(address: str) -> bool:
    """Whether an address stands for many machines: no browser could ask for it."""
    place = ipaddress.ip_address(address)
    return place.is_multicast or place == ipaddress.IPv4Address("255.255.255.255")


def address_of(host: str, listener: socket.socket) -> str:
    """Address of the page, with the port that was chosen."""
    address, port = listener.getsockname()[:2]
    name = address if address in EVERY_ADDRESS else host
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach an address that is listened on."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback
