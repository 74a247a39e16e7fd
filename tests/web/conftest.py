"""The web application in front of a migrated database, reached without a network."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs
from structlog.typing import EventDict

from service.assembly import App, prepare
from service.web.app import create_app
from tests.fakes.apps import TWILIO_SETTINGS, StoppedClock, app_on


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """What was logged, field by field."""
    with capture_logs() as events:
        yield events


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def settings() -> dict[str, Any]:
    """A test that needs others says so by parametrizing this."""
    return TWILIO_SETTINGS


@pytest.fixture
def app(database_url: str, clock: StoppedClock, settings: dict[str, Any]) -> Iterator[App]:
    app = app_on(database_url, clock, **settings)
    prepare(app)
    yield app
    app.close()


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    # The Host header is anybody's to write: nothing may rest on it.
    with TestClient(create_app(app), base_url="http://somebody-elses-name", raise_server_exceptions=False) as client:
        yield client
