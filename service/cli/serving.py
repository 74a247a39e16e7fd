"""The web server in a thread of its own, so that the main thread stays free for signals."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from service.assembly import App
from service.domain.errors import AftercareError
from service.web.app import create_app

LAST_ANSWERS = 2
"""Seconds for requests under way when the server stops."""


@contextmanager
def serving(app: App, stop: threading.Event) -> Iterator[str]:
    """Answer requests; gives the address that people type. Sets ``stop`` should the server end by itself."""
    listener = _listen(app.settings.web.host, app.settings.web.port)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(app),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=LAST_ANSWERS,
        )
    )
    thread = threading.Thread(target=_serve, args=(server, listener, stop), name="web", daemon=True)
    address = address_of(listener)
    thread.start()
    try:
        yield address
    finally:
        ended_by_itself = not thread.is_alive()
        server.should_exit = True
        thread.join()
    if ended_by_itself:
        raise AftercareError("The web server ended by itself; its log says why. Start the service again.")


def _listen(host: str, port: int) -> socket.socket:
    """Bound here and not by the server, so that a port that is taken is told in a sentence, before anything starts."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as why:
        reason = str(why.strerror).partition(" (")[0]
        raise AftercareError(
            f"The web server can not listen on {host}, port {port} ({reason}). Nothing was started. "
            "Set AFTERCARE_WEB__HOST or AFTERCARE_WEB__PORT to what is free."
        ) from None


def _serve(server: uvicorn.Server, listener: socket.socket, stop: threading.Event) -> None:
    try:
        server.run(sockets=[listener])
    finally:
        stop.set()


def address_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
