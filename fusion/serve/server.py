"""Server of the page: address, start, end."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path

from fusion.serve.guard import LOOPBACK, Hosts
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
    started: Callable[[str, str], None] | None = None,
) -> None:
    """Serve the page of a model until the process is interrupted.

    Args:
        folder: see `fusion.serve.service.open_service`.
        networks: likewise.
        host: name or address to listen on.
        port: 0 for a free one.
        limits: of the server.
        started: called with the title of the model and the address of the page, once it answers.

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
        app = create_app(service, Hosts.of(host))
        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=SECONDS_TO_END,
        )
        if started is not None:
            started(service.title, address_of(host, listener))
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


def address_of(host: str, listener: socket.socket) -> str:
    """Address of the page, with the port that was chosen."""
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    return host.lower() in LOOPBACK or host.startswith("127.")
