"""The alert rules and the dashboard ask for nothing that a web process does not tell, and all that it tells is explained."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from service.assembly import App
from service.domain.alarms import Alarm
from service.store import watching
from service.store.tables import NightlyProof
from tests.store.factories import NOW

PROJECT = Path(__file__).resolve().parents[2]
ALERTS, DASHBOARD, PAGE = "ops/prometheus-alerts.yml", "ops/grafana-dashboard.json", "docs/watching.md"
ENDINGS = {"counter": ("_total",), "summary": ("_sum", "_count"), "gauge": ("",)}
OF_A_WORKER = ("aftercare_tick_failures", "aftercare_tick_skips")
"""Counted in the worker's own process: a web process beside it does not know them."""

pytestmark = pytest.mark.parametrize("settings", [{}])


@pytest.fixture
def told(app: App, client: TestClient) -> set[str]:
    """Every name under which a sample may come."""
    with app.sessions.begin() as db:
        db.add(NightlyProof(night="2026-03-02", worker="one", began_at=NOW, ended_at=NOW, broken={"sent_twice": 2}))
    families = text_string_to_metric_families(client.get("/metrics").text)
    names = {family.name + ending for family in families if family.type in ENDINGS for ending in ENDINGS[family.type]}
    return {name for name in names if not name.startswith(OF_A_WORKER) and not name.endswith("_created")}


def named(file: str) -> set[str]:
    return set(re.findall(r"\baftercare_[a-z_]+", (PROJECT / file).read_text("utf-8")))


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD])
def test_each_metric_that_is_asked_for_is_told(told: set[str], file: str) -> None:
    assert named(file) - told == set()


def test_each_metric_that_is_told_is_explained(told: set[str]) -> None:
    explained = {name.removesuffix("_sum").removesuffix("_count") for name in told}
    assert explained - named(PAGE) == set()
    assert named(PAGE) - explained == {f"{name}_total" for name in OF_A_WORKER}


def test_the_dashboard_shows_every_metric_and_is_a_dashboard(told: set[str]) -> None:
    assert told - named(DASHBOARD) == set()
    panels = json.loads((PROJECT / DASHBOARD).read_text("utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["targets"] for panel in panels)


def test_every_alarm_is_a_metric_from_the_first_day(app: App, client: TestClient) -> None:
    with app.sessions.begin() as db:
        watching.begin(db, identity="a", kind=Alarm.NOTHING_SENT, clinic_id=None, since=NOW, seconds=0)
        watching.begin(db, identity="b", kind=Alarm.LATE_AFTERCARE, clinic_id=None, since=NOW, seconds=0)
        watching.claim_telling(db, "a", at=NOW)
    page = client.get("/metrics").text
    found = dict(re.findall(r'aftercare_alarms\{alarm="(\w+)"\} (\S+)', page))
    assert found == {kind.value: "1.0" if kind is Alarm.NOTHING_SENT else "0.0" for kind in Alarm}


def test_the_last_proof_is_told_by_rule(app: App, client: TestClient) -> None:
    with app.sessions.begin() as db:
        for night, broken in (("2026-03-01", {"sent_twice": 9}), ("2026-03-02", {"sent_over_cap": 2})):
            ended = NOW if night.endswith("2") else NOW - timedelta(days=1)
            db.add(NightlyProof(night=night, worker="one", began_at=ended, ended_at=ended, broken=broken))
        db.add(NightlyProof(night="2026-03-03", worker="one", began_at=NOW))
    page = client.get("/metrics").text
    assert 'aftercare_verify_violations{rule="sent_over_cap"} 2.0' in page
    assert 'aftercare_verify_violations{rule="sent_twice"} 0.0' in page
    assert re.search(r"^aftercare_verify_finished_timestamp 1.772[0-9]*e\+09$", page, re.MULTILINE)
