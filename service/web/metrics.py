"""Metrics for Prometheus. Most are asked of the database, so that any web process tells of every worker's work."""

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from service.assembly import App
from service.domain.alarms import Alarm
from service.flows.verification.findings import Rule
from service.store import counts, reports, watching
from service.store.database import read_only

FRESH = timedelta(seconds=15)
"""How long an answer serves: counting millions of rows takes the database a while, and anybody may ask."""

_Labelled = TypeVar("_Labelled", CounterMetricFamily, GaugeMetricFamily)


def router(app: App) -> APIRouter:
    routes = APIRouter()
    answer = _Answer(app)

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(answer(), media_type=CONTENT_TYPE_LATEST)

    return routes


class _Answer:
    """The page, made anew when it is older than :data:`FRESH`; whoever asks meanwhile waits for the one that is being made."""

    def __init__(self, app: App) -> None:
        self._clock = app.clock
        self._registry, self._gate = CollectorRegistry(), threading.Lock()
        self._registry.register(_Everything(app))
        self._page, self._made_at = b"", datetime.min.replace(tzinfo=UTC)

    def __call__(self) -> bytes:
        with self._gate:
            now = self._clock()
            if abs(now - self._made_at) >= FRESH:
                self._page, self._made_at = generate_latest(self._registry), now
            return self._page


class _Everything(Collector):
    """What the database says, then what this process alone has counted."""

    def __init__(self, app: App) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        with self._app.sessions() as db:
            yield from _states(reports.status(read_only(db), now=self._app.clock()))
            yield from _events(db)
            yield from _watching(db)
        yield from (metric for metric in REGISTRY.collect() if metric.name.startswith("aftercare_"))


def _states(status: Mapping[str, Any]) -> Iterator[Metric]:
    yield _labelled(GaugeMetricFamily("aftercare_messages", "Messages", labels=["state"]), status["states"])
    due = "How long the longest due text has waited; what is held does not count"
    yield GaugeMetricFamily("aftercare_due_age_seconds", due, value=status["oldest_due_seconds"])
    beats: dict[str, dict[str, Any]] = status["heartbeats"]
    took = GaugeMetricFamily("aftercare_tick_seconds", "How long the last run of a tick took", labels=["tick"])
    yield _labelled(took, {job: beat["took_ms"] / 1000 for job, beat in beats.items()})
    age = GaugeMetricFamily("aftercare_tick_age_seconds", "How long ago a tick last said that it ran", labels=["tick"])
    yield _labelled(age, {job: beat["age_seconds"] for job, beat in beats.items()})


def _events(db: Session) -> Iterator[Metric]:
    attempts = counts.attempts_by_outcome(db)
    sent = CounterMetricFamily("aftercare_sent", "Texts handed to the provider", labels=["outcome"])
    yield _labelled(sent, attempts)
    yield CounterMetricFamily("aftercare_attempts", "Attempts to send", value=sum(attempts.values()))
    inbound = CounterMetricFamily("aftercare_inbound", "Texts from phones", labels=["level"])
    yield _labelled(inbound, counts.inbound_by_level(db))
    pages, waited = counts.page_delays(db)
    late = "How long after they were due pages to staff went out"
    yield SummaryMetricFamily("aftercare_page_seconds", late, count_value=pages, sum_value=waited.total_seconds())


def _watching(db: Session) -> Iterator[Metric]:
    alarms = GaugeMetricFamily("aftercare_alarms", "Alarms that staff were told of and are not over", labels=["alarm"])
    yield _labelled(alarms, {kind.value: 0 for kind in Alarm} | watching.told_by_kind(db))
    for proof in watching.finished_proofs(db, limit=1):
        broken = "Promises that the last nightly proof found broken"
        by_rule = {rule.value: 0 for rule in Rule} | proof.broken
        yield _labelled(GaugeMetricFamily("aftercare_verify_violations", broken, labels=["rule"]), by_rule)
        ended = proof.ended_at.timestamp() if proof.ended_at else 0
        yield GaugeMetricFamily("aftercare_verify_finished_timestamp", "When the last nightly proof ended", value=ended)


def _labelled(family: _Labelled, values: Mapping[str, float]) -> _Labelled:
    for label, value in values.items():
        family.add_metric([label], value)
    return family
