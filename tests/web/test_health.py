"""Alive, and ready: what a load balancer and whoever is on call are told."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from service.assembly import App
from service.store import running
from service.store.database import downgrade
from tests.fakes.apps import StoppedClock

pytestmark = pytest.mark.parametrize("settings", [{}])


def beat(app: App, worker: str = "one", job: str = "dispatch") -> None:
    with app.sessions.begin() as db:
        running.beat(db, job=job, worker=worker, at=app.clock(), took_ms=5, rows=0)


def readiness(client: TestClient) -> tuple[int, list[str]]:
    answer = client.get("/readyz")
    body: dict[str, Any] = answer.json()
    assert body["ready"] is (answer.status_code == 200)
    return answer.status_code, body["reasons"]


def test_alive(client: TestClient) -> None:
    assert client.get("/healthz").status_code == 200


def test_not_ready_before_any_worker_ever_ran(app: App, client: TestClient) -> None:
    beat(app, job="plan")
    assert readiness(client) == (503, ["No worker has run yet: start `aftercare worker`."])


def test_ready_while_a_worker_looks_for_due_texts(app: App, client: TestClient, clock: StoppedClock) -> None:
    beat(app)
    clock.move(timedelta(seconds=60))
    assert readiness(client) == (200, [])


def test_not_ready_once_every_worker_is_silent(app: App, client: TestClient, clock: StoppedClock) -> None:
    beat(app)
    beat(app, "two")
    clock.move(timedelta(seconds=61))
    beat(app, job="plan")
    status, reasons = readiness(client)
    assert (status, reasons) == (503, ["No worker has looked for due texts for 61 seconds: start `aftercare worker`."])


def test_one_living_worker_is_enough(app: App, client: TestClient, clock: StoppedClock) -> None:
    beat(app)
    clock.move(timedelta(days=1))
    beat(app, "two")
    assert readiness(client) == (200, [])


def test_not_ready_on_an_older_schema(app: App, client: TestClient) -> None:
    downgrade(app.engine, "base")
    status, (reason,) = readiness(client)
    assert status == 503
    assert "run `aftercare migrate`" in reason


def test_not_ready_without_a_database(app: App, client: TestClient) -> None:
    with app.sessions.begin() as db:
        db.execute(text("ALTER TABLE heartbeat RENAME TO heartbeat_away"))
    assert readiness(client) == (503, ["The database does not answer."])


@pytest.mark.parametrize("page", ["/", "/docs", "/redoc", "/openapi.json", "/healthz/"])
def test_there_is_nothing_else_to_see(client: TestClient, page: str) -> None:
    assert client.get(page).status_code == 404
