"""What Prometheus is told, whichever process is asked."""

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from starlette.testclient import TestClient

from service.assembly import App
from service.store import running
from service.web.metrics import FRESH
from tests.fakes.apps import StoppedClock
from tests.store import factories
from tests.store.factories import NOW

pytestmark = pytest.mark.parametrize("settings", [{}])


def metrics(client: TestClient) -> dict[str, float]:
    """``name{label}`` → value; every name is ours."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.name.startswith("aftercare_") for family in families)
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_of_an_empty_service_all_is_zero(client: TestClient) -> None:
    found = metrics(client)
    assert {name for name, value in found.items() if value and not name.endswith("_created")} <= {
        name for name in found if name.startswith(("aftercare_tick_", "aftercare_webhooks_"))
    }
    assert (
        found["aftercare_messages{planned}"]
        == found["aftercare_due_age_seconds"]
        == found["aftercare_attempts_total"]
        == 0
    )


def test_the_database_tells_of_every_worker(app: App, client: TestClient, clock: StoppedClock) -> None:
    with app.sessions.begin() as db:
        clinic = factories.clinic(db)
        patient = factories.patient(db, clinic)
        factories.message(db, patient, due_at=NOW - timedelta(seconds=90))
        sent = factories.message(db, patient, state="sent")
        factories.attempt(db, sent)
        factories.attempt(db, sent, n=2, outcome="refused")
        factories.attempt(db, sent, n=3, outcome=None)
        factories.message(db, patient, kind="page", state="sent", due_at=NOW, sent_at=NOW + timedelta(seconds=4))
        factories.message(db, patient, kind="page", state="planned")
        factories.task(db, clinic, level="red", inbound_id=factories.inbound(db).id)
        factories.inbound(db)
        running.beat(db, job="dispatch", worker="elsewhere", at=NOW - timedelta(seconds=7), took_ms=250, rows=3)
    expected = {
        "aftercare_messages{planned}": 2,
        "aftercare_messages{sent}": 2,
        "aftercare_messages{delivered}": 0,
        "aftercare_due_age_seconds": 90,
        "aftercare_sent_total{accepted}": 1,
        "aftercare_sent_total{refused}": 1,
        "aftercare_sent_total{unknown}": 0,
        "aftercare_sent_total{under_way}": 1,
        "aftercare_attempts_total": 3,
        "aftercare_inbound_total{red}": 1,
        "aftercare_inbound_total{none}": 1,
        "aftercare_page_seconds_count": 1,
        "aftercare_page_seconds_sum": 4,
        "aftercare_tick_seconds{dispatch}": 0.25,
        "aftercare_tick_age_seconds{dispatch}": 7,
    }
    found = metrics(client)
    assert {name: found[name] for name in expected} == expected


def test_the_database_is_asked_at_most_every_fifteen_seconds(app: App, client: TestClient, clock: StoppedClock) -> None:
    planned = []
    for seconds in (0, 14.9, 0.1, -60):
        clock.move(timedelta(seconds=seconds))
        planned.append(metrics(client)["aftercare_messages{planned}"])
        with app.sessions.begin() as db:
            factories.message(db, factories.patient(db, factories.clinic(db)))
    assert planned == [0, 0, 2, 3]


def test_a_refused_webhook_is_counted_where_it_was_refused(client: TestClient, clock: StoppedClock) -> None:
    name = "aftercare_webhooks_refused_total{too_long}"
    before = metrics(client).get(name, 0)
    client.post("/webhooks/twilio/status", content=b"x" * 70_000)
    clock.move(FRESH)
    assert metrics(client)[name] == before + 1


def test_without_a_database_the_scrape_fails(app: App, client: TestClient) -> None:
    with app.sessions.begin() as db:
        db.execute(text("ALTER TABLE send_attempt RENAME TO away"))
    assert client.get("/metrics").status_code == 503
