"""Heartbeats, pauses, what the provider stops, and the default sender."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.breakers import Cause
from service.store import running
from service.store.tables import Installation, Sender
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


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("cause", "wait"), [(Cause.REFUSED, MINUTE), (Cause.DOWN, MINUTE / 2)], ids=["turned away", "no answer"]
)
def test_what_the_provider_stops_is_tried_again(sessions: sessionmaker[Session], cause: Cause, wait: timedelta) -> None:
    with sessions.begin() as db:
        assert running.pause_all(db, at=NOW, reason="Why.", cause=cause)
        assert running.pause_sender(db, 1, at=NOW, reason="Why.", cause=cause)
        assert not running.pause_all(db, at=LATER, reason="another", cause=Cause.DOWN)
    with sessions() as db:
        for row in (running.installation(db), db.get_one(Sender, 1)):
            assert (row.paused_at, row.pause_cause, row.probe_at) == (NOW, cause, NOW + wait)


def test_a_person_takes_over_from_the_provider_and_not_the_other_way(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        running.pause_all(db, at=NOW, reason="no answer", cause=Cause.DOWN)
        assert running.pause_all(db, at=LATER, reason="wrong texts")
        assert not running.pause_all(db, at=LATER, reason="no answer", cause=Cause.DOWN)
    with sessions() as db:
        whole = running.installation(db)
        assert (whole.paused_at, whole.pause_reason) == (LATER, "wrong texts")
        assert (whole.pause_cause, whole.probe_at) == (None, None)


def test_a_stop_ends_as_it_was_read_or_not_at_all(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        running.pause_sender(db, 1, at=NOW, reason="no answer", cause=Cause.DOWN)
    with sessions() as db:
        read = db.get_one(Sender, 1)
        db.expunge(read)
    with sessions.begin() as db:
        running.pause_sender(db, 1, at=LATER, reason="wrong texts")
    with sessions.begin() as db:
        assert not running.end_stop(db, read)
        assert db.get_one(Sender, 1).pause_reason == "wrong texts"
        running.resume_sender(db, 1)
    with sessions.begin() as db:
        running.pause_sender(db, 1, at=NOW, reason="no answer", cause=Cause.DOWN)
        assert running.end_stop(db, read)
        assert not running.end_stop(db, read)


def test_silence_is_counted_by_sender_and_by_all_until_an_answer(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        second = factories.sender(db)
        assert running.not_well(db, 1) == []
        assert [running.count_silence(db, each) for each in (1, 1, second.id, 1)] == [(1, 1), (2, 2), (1, 3), (3, 4)]
    with sessions.begin() as db:
        unwell = running.not_well(db, second.id)
        assert [(type(row), row.troubles) for row in unwell] == [(Sender, 1), (Installation, 4)]
        for row in unwell:
            running.end_silence(db, row)
    with sessions() as db:
        assert running.not_well(db, second.id) == []
        assert [row.troubles for row in running.not_well(db, 1)] == [3]


def test_what_is_stopped_by_the_provider_is_not_well(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        running.pause_sender(db, 1, at=NOW, reason="not registered", cause=Cause.REFUSED)
        assert running.not_well(db, 1) == [db.get_one(Sender, 1)]
        running.resume_sender(db, 1)
        running.pause_sender(db, 1, at=NOW, reason="lunch")
        assert running.not_well(db, 1) == []


def test_it_is_time_to_try_once_the_moment_has_come(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        assert running.claim_try(db, now=NOW) is None
        running.pause_all(db, at=NOW, reason="no answer", cause=Cause.DOWN)
        assert running.claim_try(db, now=NOW + MINUTE / 2 - timedelta(microseconds=1)) is None
        assert running.claim_try(db, now=NOW + MINUTE / 2) is not None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_of_two_workers_one_tries(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        running.pause_all(db, at=NOW, reason="no answer", cause=Cause.DOWN)
    with sessions.begin() as one, sessions.begin() as other:
        assert running.claim_try(one, now=LATER) is not None
        assert running.claim_try(other, now=LATER) is None


def test_resuming_forgets_all_about_the_stop(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        running.count_silence(db, 1)
        running.pause_all(db, at=NOW, reason="no answer", cause=Cause.DOWN)
        running.pause_sender(db, 1, at=NOW, reason="no answer", cause=Cause.DOWN)
        running.resume_all(db)
        running.resume_sender(db, 1)
    with sessions() as db:
        rows: list[Sender | Installation] = [*db.scalars(select(Sender)), *db.scalars(select(Installation))]
        for row in rows:
            assert (row.paused_at, row.pause_reason, row.pause_cause, row.probe_at) == (None, None, None, None)
            assert (row.probes, row.troubles) == (0, 0)


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
