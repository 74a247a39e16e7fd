"""Calling our own webhook from outside: each answer that may come back, and what it asks for."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl

import pytest

from service.gateways.twilio import verify_signature
from service.gateways.twilio_self_call import Called, _not_reached, call_ourselves

TOKEN = "the token of these tests"
OURS = b'{"detail": "%s"}'


class Proxy(HTTPServer):
    """Answers every call the same, and keeps what was called."""

    answer: tuple[int, bytes, dict[str, str]]
    called: list[tuple[str, str, str]]


class _Answering(BaseHTTPRequestHandler):
    server: Proxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.called.append((self.path, body, self.headers["X-Twilio-Signature"]))
        status, answer, headers = self.server.answer
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(answer))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the parent gave
        pass


@contextmanager
def proxy(status: int, body: bytes = b"", *, moved_to: str = "") -> Iterator[tuple[Proxy, str]]:
    server = Proxy(("127.0.0.1", 0), _Answering)
    server.answer, server.called = (status, body, {"Location": moved_to} if moved_to else {}), []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/clinic"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_call_is_signed_as_twilio_signs() -> None:
    with proxy(400, OURS % b"no_message_sid") as (server, base):
        assert call_ourselves(base, token=TOKEN) == Called(
            ok=True, detail="is reached from here, and signatures are accepted"
        )
    ((path, body, signature),) = server.called
    assert path == "/clinic/webhooks/twilio/status?mid=0"
    genuine = parse_qsl(body)
    address = f"{base}{path.removeprefix('/clinic')}"
    assert verify_signature(address, genuine, signature=signature, tokens=[TOKEN])
    assert not verify_signature(address, genuine, signature=signature, tokens=["another"])


@pytest.mark.parametrize(
    ("status", "body", "detail", "fix"),
    [
        (403, OURS % b"bad_signature", "the signature was not accepted", "AFTERCARE_TWILIO__AUTH_TOKEN"),
        (403, OURS % b"no_signature", "the signature was lost", "X-Twilio-Signature"),
        (403, b"<h1>Forbidden</h1>", "not from the service", "firewall"),
        (400, b"<h1>Plain HTTP sent to HTTPS port</h1>", "HTTP 400", "before the service"),
        (401, b"", "HTTP 401", "without a login"),
        (404, b"", "HTTP 404", "pass /webhooks/twilio/ on"),
        (405, b"", "HTTP 405", "for POST"),
        (413, b"", "HTTP 413", "64 kB"),
        (415, b"", "HTTP 415", "Content-Type"),
        (429, b"", "HTTP 429", "limit"),
        (500, b"", "HTTP 500", "log"),
        (502, b"", "HTTP 502", "start it"),
        (503, b"", "HTTP 503", "start it"),
        (504, b"", "HTTP 504", "start it"),
        (200, b"hello", "HTTP 200", "pass /webhooks/twilio/ on"),
        (418, b"", "HTTP 418", "pass /webhooks/twilio/ on"),
    ],
)
def test_an_answer_names_its_fix(status: int, body: bytes, detail: str, fix: str) -> None:
    with proxy(status, body) as (_, base):
        called = call_ourselves(base, token=TOKEN)
    assert not called.ok
    assert detail in called.detail
    assert fix in called.fix


@pytest.mark.parametrize(("status", "moved_to"), [(301, "https://x.example/"), (308, "")])
def test_a_redirect_is_told_and_not_followed(status: int, moved_to: str) -> None:
    with proxy(status, moved_to=moved_to) as (server, base):
        called = call_ourselves(base, token=TOKEN)
    assert not called.ok
    assert (moved_to or "another address") in called.detail
    assert "AFTERCARE_PUBLIC_BASE_URL" in called.fix
    assert len(server.called) == 1


def test_nobody_listens() -> None:
    called = call_ourselves("http://127.0.0.1:1", token=TOKEN)
    assert (called.ok, called.detail) == (False, "refuses connections")
    assert "Start the proxy" in called.fix


def test_no_tls_where_it_should_be() -> None:
    with proxy(400) as (_, base):
        called = call_ourselves(base.replace("http:", "https:"), token=TOKEN)
    assert (called.ok, called.detail) == (False, "does not speak TLS as it should")


def test_what_answers_speaks_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        called = call_ourselves(f"http://127.0.0.1:{listener.getsockname()[1]}", token=TOKEN)
        thread.join()
    assert (called.ok, called.detail) == (False, "answered, but not in HTTP")


def _untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("why", "detail", "fix"),
    [
        (_untrusted(), "a certificate that is not trusted (certificate has expired)", "Renew the certificate"),
        (TimeoutError(), "did not answer in time", "firewall"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known", "DNS"),
        (OSError(), "cannot be reached (OSError)", "internet"),
    ],
    ids=["certificate", "time-out", "name", "anything else"],
)
def test_what_keeps_the_call_from_arriving(why: Exception, detail: str, fix: str) -> None:
    called = _not_reached(why)
    assert not called.ok
    assert detail in called.detail
    assert fix in called.fix
