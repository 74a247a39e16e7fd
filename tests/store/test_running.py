"""Heartbeats, pauses and the default sender."""

from datetime import timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.store import running
from service.store.tables import Sender
from tests.store import factories
from tests.store.factories import NOW

LATER = NOW + timedelta(minutes=5)


def test_each_job_of_each_worker_keeps_its_last_run(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        running.beat(db, job="plan", worker="b", at=NOW, took_ms=12, rows=3)
        running.beat(db, job="dispatch", worker="a", at=NOW, took_ms=5, rows=0)
        running.beat(db, job="plan", worker="a", at=NOW, took_ms=7, rows=1)
    with sessions.begin() as db:
        running.beat(db, job="plan", worker="b", at=LATER, took_ms=99, rows=200)
    with sessions() as db:
        beats = [(beat.job, beat.worker, beat.at, beat.took_ms, beat.rows) for beat in running.heartbeats(db)]
        assert beats == [("dispatch", "a", NOW, 5, 0), ("plan", "a", NOW, 7, 1), ("plan", "b", LATER, 99, 200)]


def test_a_worker_that_has_not_run_a_job_for_a_week_is_forgotten(sessions: sessionmaker[Session]) -> None:
    week = timedelta(days=7)
    with sessions.begin() as db:
        for job, worker, at in (("plan", "old", NOW - week - timedelta(seconds=1)), ("plan", "rare", NOW - week)):
            running.beat(db, job=job, worker=worker, at=at, took_ms=1, rows=0)
        running.beat(db, job="recover", worker="old", at=NOW - 2 * week, took_ms=1, rows=0)
    with sessions.begin() as db:
        running.beat(db, job="plan", worker="new", at=NOW, took_ms=1, rows=0)
        found = [(beat.job, beat.worker) for beat in running.heartbeats(db)]
    assert found == [("plan", "new"), ("plan", "rare"), ("recover", "old")]


def test_pausing_all_keeps_the_first_reason_until_it_is_ended(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        assert not running.resume_all(db)
        assert running.pause_all(db, at=NOW, reason="account suspended")
        assert not running.pause_all(db, at=LATER, reason="another")
    with sessions.begin() as db:
        whole = running.installation(db)
        assert (whole.paused_at, whole.pause_reason) == (NOW, "account suspended")
        assert running.resume_all(db)
        db.refresh(whole)
        assert (whole.paused_at, whole.pause_reason) == (None, None)


def test_pausing_one_sender_leaves_the_others(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        second = factories.sender(db)
        assert not running.resume_sender(db, second.id)
        assert running.pause_sender(db, second.id, at=NOW, reason="number not registered")
        assert not running.pause_sender(db, second.id, at=LATER, reason="another")
    with sessions.begin() as db:
        paused = db.get_one(Sender, second.id)
        assert (paused.paused_at, paused.pause_reason) == (NOW, "number not registered")
        assert db.get_one(Sender, 1).paused_at is None
        assert running.resume_sender(db, second.id)
        db.refresh(paused)
        assert (paused.paused_at, paused.pause_reason) == (None, None)


def test_the_default_sender_follows_the_settings(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        running.ensure_default_sender(
            db, number="+13125550100", messaging_service=None, segments_per_second=10.0, daily_segments=2000
        )
    with sessions.begin() as db:
        sender = db.get_one(Sender, 1)
        assert (sender.key, sender.number, sender.messaging_service) == ("default", "+13125550100", None)
        assert (sender.segments_per_second, sender.daily_segments) == (10.0, 2000)
        running.ensure_default_sender(
            db, number=None, messaging_service="MG1", segments_per_second=3.0, daily_segments=None
        )
    with sessions() as db:
        sender = db.get_one(Sender, 1)
        assert (sender.number, sender.messaging_service) == (None, "MG1")
        assert (sender.segments_per_second, sender.daily_segments) == (3.0, None)
