"""The silence alarm: it rings when something does not happen, tells each clinic once, and ends by itself."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.flows.staffing import pause
from service.flows.watching import watch, worker_stopped
from service.store import running, watching
from service.store.tables import Alarm, Clinic, JournalEntry, RawReceipt, Sender, Task
from tests.flows.clinic_life import ClinicLife, at, ready
from tests.store import factories
from tests.store.factories import NOW

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def look(life: ClinicLife, after: timedelta = timedelta(), *, called_back: bool = True) -> int:
    """Let time pass in which no worker does anything, then look."""
    life.now += after
    return watch(life.sessions, life.clock, called_back=called_back)


def told(life: ClinicLife) -> list[tuple[str, str]]:
    """Kind and state of every task about an alarm."""
    return [(task.kind, task.state) for task in life.tasks() if task.identity.startswith("alarm:")]


def journal(life: ClinicLife) -> list[tuple[str, str]]:
    with life.sessions() as db:
        entries = db.scalars(
            select(JournalEntry).where(JournalEntry.kind.startswith("alarm_")).order_by(JournalEntry.id)
        )
        return [(entry.kind, entry.data["alarm"]) for entry in entries]


def test_where_all_goes_well_nothing_rings(quick: ClinicLife) -> None:
    """A fortnight with a reminder, a session and its aftercare, looked at every half hour."""
    session = quick.booked("2026-03-16 14:00")
    for _ in range(48 * 15):
        quick.wait(minutes=30)
        if quick.now >= at("2026-03-16 14:20") and quick.fresh(session).status == "booked":
            quick.change(session, status="completed", completed_at=quick.now)
        assert look(quick, called_back=False) == 0
    assert len(quick.left()) > 3


class TestNothingLeaves:
    def test_each_clinic_that_waits_is_told_once(self, life: ClinicLife) -> None:
        other, idle = life.another_clinic(), life.another_clinic()
        ready(life, 2)
        life.message(life.patient(of=other))
        assert look(life, 9 * MINUTE) == 0
        assert look(life, 1 * MINUTE) == 2
        assert [look(life, MINUTE) for _ in range(5)] == [0] * 5
        assert told(life) == [("nothing_sent", "open")] * 2
        assert {task.clinic_id for task in life.tasks("nothing_sent")} == {life.clinic.id, other.id} - {idle.id}
        task = life.tasks("nothing_sent")[0]
        assert task.level == "red"
        assert "2026-03-02 15:00 UTC" in task.reason
        assert "aftercare status" in task.next_action

    def test_it_ends_by_itself_and_may_ring_again(self, quick: ClinicLife) -> None:
        ready(quick, 1)
        look(quick, 10 * MINUTE)
        quick.dispatch()
        assert look(quick) == 1
        assert told(quick) == [("nothing_sent", "closed")]
        quick.message(quick.patient())
        assert look(quick, 10 * MINUTE) == 1
        assert told(quick) == [("nothing_sent", "closed"), ("nothing_sent", "open")]
        assert journal(quick) == [
            ("alarm_raised", "nothing_sent"),
            ("alarm_ended", "nothing_sent"),
            ("alarm_raised", "nothing_sent"),
        ]

    def test_who_closed_the_task_is_not_told_again_while_it_goes_on(self, quick: ClinicLife) -> None:
        ready(quick, 1)
        look(quick, 10 * MINUTE)
        quick.change(quick.tasks("nothing_sent")[0], state="closed")
        assert look(quick, HOUR) == 0
        assert told(quick) == [("nothing_sent", "closed")]

    def test_what_somebody_or_something_holds_is_no_silence(self, quick: ClinicLife) -> None:
        (text,) = ready(quick, 1)
        quick.change(text, held_reason="cap")
        assert look(quick, HOUR) == 0

    @pytest.mark.parametrize("what", ["all", "clinic", "sender"])
    def test_while_paused_nothing_rings(self, quick: ClinicLife, what: str) -> None:
        """The pause is known at once; that the texts are held by it is only written when sending comes by."""
        ready(quick, 1)
        if what == "all":
            with quick.sessions.begin() as db:
                pause(db, reason="wrong texts", by="nurse", now=NOW)
        else:
            with quick.sessions.begin() as db:
                db.execute(update({"clinic": Clinic, "sender": Sender}[what]).values(paused_at=NOW))
        assert look(quick, HOUR) == 0

    def test_two_workers_tell_once(self, life: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second has looked before the first has written."""
        ready(life, 1)
        look(life, 10 * MINUTE)
        monkeypatch.setattr(watching, "ongoing", lambda _: [])
        assert look(life) == 1
        assert told(life) == [("nothing_sent", "open")]

    def test_two_workers_end_once(self, quick: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
        ready(quick, 1)
        look(quick, 10 * MINUTE)
        with quick.sessions() as db:
            before = watching.ongoing(db)
        quick.dispatch()
        look(quick)
        monkeypatch.setattr(watching, "ongoing", lambda _: before)
        assert look(quick) == 0
        assert journal(quick) == [("alarm_raised", "nothing_sent"), ("alarm_ended", "nothing_sent")]

    def test_an_alarm_that_another_worker_ends_meanwhile_is_left(
        self, quick: ClinicLife, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ready(quick, 1)
        monkeypatch.setattr(watching, "find", lambda *_: None)
        assert look(quick, 10 * MINUTE) == 1
        assert told(quick) == []


class TestABacklog:
    def test_it_rings_once_it_has_grown_and_stops_when_it_is_worked_off(self, quick: ClinicLife) -> None:
        first, *_ = ready(quick, 2)
        with quick.sessions.begin() as db:
            factories.attempt(db, first, started_at=NOW + 14 * MINUTE)
        look(quick, 15 * MINUTE)
        assert told(quick) == []
        with quick.sessions.begin() as db:
            factories.attempt(db, first, n=2, started_at=NOW + 24 * MINUTE)
        look(quick, 10 * MINUTE)
        assert told(quick) == [("oldest_due_grows", "open")]
        quick.dispatch()
        look(quick)
        assert told(quick) == [("oldest_due_grows", "closed")]

    def test_a_few_minutes_are_none(self, quick: ClinicLife) -> None:
        (text,) = ready(quick, 1)
        with quick.sessions.begin() as db:
            factories.attempt(db, text, started_at=NOW + 11 * MINUTE)
        assert look(quick, 12 * MINUTE) == 0

    def test_one_that_shrinks_in_time_is_nobodys_work(self, quick: ClinicLife) -> None:
        (text,) = ready(quick, 1)
        with quick.sessions.begin() as db:
            factories.attempt(db, text, started_at=NOW + 14 * MINUTE)
        assert look(quick, 15 * MINUTE) == 1
        quick.dispatch()
        assert look(quick) == 1
        assert (told(quick), journal(quick)) == ([], [])


class TestAftercare:
    def test_planning_that_does_not_come_is_told_with_the_sessions(self, life: ClinicLife) -> None:
        session = life.completed(NOW)
        assert look(life, 2 * HOUR - MINUTE) == 0
        look(life, MINUTE)
        assert told(life) == []
        look(life, 5 * MINUTE)
        assert told(life) == [("late_aftercare", "open")]
        assert life.tasks("late_aftercare")[0].reason.endswith(f"took place: {session.id}.")
        life.tick()
        look(life)
        assert told(life) == [("late_aftercare", "closed")]

    def test_aftercare_that_is_planned_and_does_not_leave_is_told(self, quick: ClinicLife) -> None:
        quick.completed(NOW)
        quick.plan()
        look(quick, 2 * HOUR)
        look(quick, 5 * MINUTE)
        assert {kind for kind, _ in told(quick)} == {"late_aftercare", "nothing_sent"}

    def test_a_session_entered_late_waits_for_planning_first(self, quick: ClinicLife) -> None:
        quick.now += 4 * HOUR
        quick.completed(NOW)
        look(quick)
        quick.tick()
        look(quick, MINUTE)
        assert told(quick) == []

    def test_who_is_not_texted_is_not_missed(self, quick: ClinicLife) -> None:
        patient = quick.patient(status="inactive")
        quick.completed(NOW, of=patient)
        assert look(quick, 3 * HOUR) == 0

    def test_after_a_day_it_is_of_no_use_any_more(self, quick: ClinicLife) -> None:
        quick.completed(NOW)
        assert look(quick, timedelta(days=1)) == 0


class TestReceipts:
    def send(self, life: ClinicLife, n: int) -> None:
        ready(life, n, expires_at=NOW + 8 * HOUR)
        life.dispatch()

    def test_none_of_several_texts_is_reported_on(self, life: ClinicLife) -> None:
        self.send(life, 5)
        assert look(life, 29 * MINUTE) == 0
        look(life, 2 * MINUTE)
        assert told(life) == [("receipts_stopped", "open")]
        with life.sessions.begin() as db:
            db.add(RawReceipt(provider_sid="SM1", status="delivered", fields={}, received_at=life.now))
        look(life)
        assert told(life) == [("receipts_stopped", "closed")]

    def test_a_few_texts_prove_nothing(self, quick: ClinicLife) -> None:
        self.send(quick, 4)
        assert look(quick, HOUR) == 0

    def test_where_nobody_calls_back_it_is_not_asked(self, quick: ClinicLife) -> None:
        self.send(quick, 9)
        assert look(quick, HOUR, called_back=False) == 0


class TestWorkers:
    def beat(self, life: ClinicLife, worker: str = "one:1") -> None:
        with life.sessions.begin() as db:
            for job in ("dispatch", "plan"):
                running.beat(db, job=job, worker=worker, at=life.now, took_ms=1, rows=0)

    def test_one_that_falls_silent_is_told_to_the_first_clinic(self, life: ClinicLife) -> None:
        first, _ = life.clinic, life.another_clinic()
        self.beat(life)
        assert look(life, 3 * MINUTE) == 0
        self.beat(life, "two:1")
        look(life, MINUTE)
        (task,) = life.tasks("worker_silent")
        assert (task.clinic_id, task.state) == (first.id, "open")
        assert "one:1" in task.reason
        self.beat(life)
        look(life)
        assert told(life) == [("worker_silent", "closed")]

    def test_one_that_was_stopped_is_not_looked_for(self, quick: ClinicLife) -> None:
        self.beat(quick)
        with quick.sessions.begin() as db:
            worker_stopped(db, "one:1", now=quick.now)
        assert look(quick, 10 * MINUTE) == 0

    def test_one_that_started_again_and_died_is(self, quick: ClinicLife) -> None:
        with quick.sessions.begin() as db:
            worker_stopped(db, "one:1", now=quick.now)
        quick.now += MINUTE
        self.beat(quick)
        assert look(quick, 10 * MINUTE) == 1

    def test_after_an_hour_the_others_have_long_done_its_work(self, quick: ClinicLife) -> None:
        self.beat(quick)
        look(quick, 10 * MINUTE)
        look(quick, 50 * MINUTE)
        with quick.sessions() as db:
            assert db.scalars(select(Alarm)).all() == []

    def test_before_there_is_a_clinic_nobody_can_be_told(self, sqlite_sessions: sessionmaker[Session]) -> None:
        life = ClinicLife(sqlite_sessions)
        self.beat(life)
        assert look(life, 10 * MINUTE) == 1
        with life.sessions() as db:
            assert db.scalars(select(Task)).all() == []
        assert journal(life) == [("alarm_raised", "worker_silent")]
