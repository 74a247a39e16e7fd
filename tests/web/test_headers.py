"""What stands on every answer, good or bad."""

from typing import Any

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from service.assembly import App
from service.web.headers import ALWAYS, SafeHeaders
from tests.fakes.apps import TWILIO_SETTINGS

ANSWERS = [
    pytest.param("GET", "/healthz", 200, id="a good answer"),
    pytest.param("GET", "/readyz", 503, id="not ready"),
    pytest.param("GET", "/nothing-here", 404, id="no such page"),
    pytest.param("GET", "/webhooks/twilio/inbound", 405, id="another method"),
    pytest.param("POST", "/webhooks/twilio/inbound", 415, id="a call that is refused"),
    pytest.param("GET", "/metrics", 200, id="metrics"),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_no_browser_is_given_anything_to_do(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("settings", "strict"),
    [
        pytest.param(TWILIO_SETTINGS | {"environment": "production"}, True, id="production"),
        pytest.param(TWILIO_SETTINGS | {"environment": "staging"}, False, id="staging"),
    ],
)
def test_only_in_production_browsers_are_held_to_tls(client: TestClient, strict: bool) -> None:
    assert ("strict-transport-security" in client.get("/healthz").headers) is strict


def test_a_page_that_says_something_itself_keeps_it() -> None:
    own = Response("<p>", headers={"content-security-policy": "default-src 'self'"})

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await own(scope, receive, send)

    answer = TestClient(SafeHeaders(page, ALWAYS.items())).get("/")
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_where_the_database_is_away_they_stand_there_too(app: App, client: TestClient) -> None:
    app.engine.dispose()
    found: Any = client.get("/readyz").headers
    assert found["x-content-type-options"] == "nosniff"
