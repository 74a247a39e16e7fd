"""The drill: a copy from a backup is put back while its patients have had an hour of texts that it knows nothing of.

Real HTTP through the provider's own SDK; what the fake provider took is the truth.
"""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from service.assembly import App, build, guard_start
from service.domain.errors import AftercareError
from service.flows import guard, staffing
from service.flows.restoring import Compared, Restoring, recover_since, release
from service.flows.verification.verifying import verify
from service.gateways.simulated import SimulatedNetwork
from service.settings import Settings
from service.store import content, running
from service.store.tables import Clinic, JournalEntry, Message, Patient, Task, TemplateVersion
from tests.fakes.apps import StoppedClock
from tests.fakes.twilio_server import ACCOUNT_SID, KEY_SECRET, KEY_SID, OUR_NUMBER, FakeTwilio
from tests.store import factories
from tests.store.factories import NOW

HOUR = timedelta(hours=1)


@dataclass
class Drill:
    """One machine room: the database files, the provider, and a clock for both."""

    folder: Path
    twilio: FakeTwilio
    clock: StoppedClock
    apps: list[App] = field(default_factory=list)

    def app(self, name: str = "aftercare.db", *, key: str = "key") -> App:
        app = build(
            Settings(
                database_url=SecretStr(f"sqlite:///{self.folder / name}"),
                environment="production",
                gateway="twilio",
                secret_key=SecretStr(key),
                twilio={
                    "account_sid": ACCOUNT_SID,
                    "api_key_sid": KEY_SID,
                    "api_key_secret": SecretStr(KEY_SECRET),
                    "from_number": OUR_NUMBER,
                    "segments_per_second": 1000,
                    "base_url": self.twilio.url,
                },  # type: ignore[arg-type]  # read as a Twilio
            ),
            clock=self.clock,
        )
        self.apps.append(app)
        return app

    def texts(self) -> Counter[tuple[str, str]]:
        """What the provider took, by number and words."""
        return Counter((each.text.to, each.text.body) for each in self.twilio.network.accepted.values())


@pytest.fixture
def drill(tmp_path: Path, sqlite_template: Path) -> Iterator[Drill]:
    shutil.copyfile(sqlite_template, tmp_path / "aftercare.db")
    clock = StoppedClock(NOW)
    with FakeTwilio(SimulatedNetwork(uuid4().hex), clock).running() as twilio:
        drill = Drill(tmp_path, twilio, clock)
        yield drill
        for app in drill.apps:
            app.close()


def settle_in(app: App, *, patients: int) -> None:
    """A clinic with a text by staff due every two minutes for as many patients, and the same number of sessions just ended."""
    with app.sessions.begin() as db:
        running.ensure_default_sender(
            db, number=OUR_NUMBER, messaging_service=None, segments_per_second=1000, daily_segments=None
        )
        clinic = factories.clinic(db, live_from=NOW - 12 * HOUR)
        content.seed_defaults(db, clinic.id, now=NOW, by="test")
        db.execute(update(TemplateVersion).values(approved_by="Dr. Sample", approved_at=NOW))
        for n in range(patients):
            patient = factories.patient(db, clinic)
            factories.grant(db, patient)
            due = NOW + timedelta(minutes=2 * n)
            factories.message(db, patient, text=f"Ask for number {n}.", due_at=due, expires_at=due + 8 * HOUR)
            treated = factories.patient(db, clinic)
            factories.grant(db, treated)
            end = NOW - timedelta(minutes=10)
            values = {"scheduled_start": end - timedelta(minutes=20), "completed_at": end, "status": "completed"}
            factories.session(db, treated, **values)
    app.ticks["plan"]()


def work(drill: Drill, app: App, *, minutes: int) -> None:
    """A worker's ticks, minute by minute."""
    for _ in range(minutes):
        drill.clock.move(timedelta(minutes=1))
        for tick in ("plan", "dispatch"):
            app.ticks[tick]()
        with app.sessions.begin() as db:
            running.beat(db, job="dispatch", worker="w", at=drill.clock.now, took_ms=1, rows=1)


def start(app: App, drill: Drill) -> guard.Cause | None:
    """As a worker starts; the database's own clock is the machine's, which these tests do not set."""
    with app.sessions.begin() as db:
        return guard.look_before_sending(db, other_clocks=(), account=ACCOUNT_SID, now=drill.clock.now)


def compare(app: App, drill: Drill) -> Compared:
    with app.sessions() as db:
        since = running.installation(db).guard_since
    assert since is not None
    return recover_since(restoring(app), since)


def restoring(app: App) -> Restoring:
    return Restoring(app.sessions, app.gateway, app.clock, app.policy, "own")


def test_an_hour_old_copy_doubles_nothing_and_loses_nothing(drill: Drill) -> None:
    original = drill.app()
    settle_in(original, patients=40)
    assert start(original, drill) is None, "a first start is free"
    work(drill, original, minutes=10)
    with closing(sqlite3.connect(drill.folder / "aftercare.db")) as live:
        live.execute("VACUUM INTO ?", (str(drill.folder / "backup.db"),))
    work(drill, original, minutes=60)
    before = drill.texts()
    assert max(before.values()) == 1

    copy = drill.app("backup.db")
    assert start(copy, drill) is guard.Cause.SILENCE
    copy.ticks["plan"]()
    copy.ticks["dispatch"]()
    assert drill.texts() == before, "nothing leaves while it is held"

    found = compare(copy, drill)
    assert found.attached >= 30
    assert (found.held, found.unexplained) == (0, 0)
    copy.ticks["dispatch"]()
    assert drill.texts() == before, "comparing lets nothing go"

    assert release(restoring(copy), by="test", account=ACCOUNT_SID)
    work(drill, copy, minutes=30)
    after = drill.texts()
    assert max(after.values()) == 1, "nobody got a text twice"
    with copy.sessions() as db:
        waiting = select(Message).where(Message.state == "planned", Message.due_at <= drill.clock.now)
        assert [m.identity for m in db.scalars(waiting) if m.held_reason != "window"] == []
        assert sum(body.startswith("Ask for") for _, body in after) == 40, "what was still of use has left"
    proof = verify(copy.sessions, copy.clock, approval=copy.policy.approval)
    assert proof.in_order() == [], "and the copy keeps every promise, by its own books"
    assert sum(proof.checked.values()) > 0


def lone_text(app: App, drill: Drill, *, text: str) -> Message:
    with app.sessions.begin() as db:
        running.ensure_default_sender(
            db, number=OUR_NUMBER, messaging_service=None, segments_per_second=1000, daily_segments=None
        )
        clinic = factories.clinic(db)
        content.seed_defaults(db, clinic.id, now=NOW, by="test")
        patient = factories.patient(db, clinic)
        factories.grant(db, patient)
        return factories.message(db, patient, text=text)


def test_a_text_that_may_be_another_one_goes_to_a_person(drill: Drill) -> None:
    app = drill.app()
    message = lone_text(app, drill, text="As it read.")
    app.ticks["plan"]()
    app.ticks["dispatch"]()
    with app.sessions.begin() as db:  # the copy has the text as it was before somebody changed its words
        other = factories.message(db, db.get_one(Patient, message.patient_id), text="As it reads now.")
        db.execute(update(Message).where(Message.id == message.id).values(provider_sid=None, due_at=NOW - 40 * HOUR))
        db.connection().exec_driver_sql("UPDATE send_attempt SET provider_sid = NULL, outcome = 'refused'")
    found = recover_since(restoring(app), NOW - HOUR)
    assert (found.attached, found.held) == (0, 1)
    release(restoring(app), by="test", account=ACCOUNT_SID)
    app.ticks["dispatch"]()
    with app.sessions() as db:
        assert db.get_one(Message, other.id).state == "unconfirmed"
        assert "unconfirmed" in set(db.scalars(select(Task.kind)))
    assert len(drill.twilio.network.accepted) == 1


def test_what_no_row_explains_is_counted_and_journalled_once(drill: Drill) -> None:
    app = drill.app()
    message = lone_text(app, drill, text="Once.")
    app.ticks["plan"]()
    app.ticks["dispatch"]()
    with app.sessions.begin() as db:
        db.execute(update(Message).where(Message.id == message.id).values(provider_sid=None))
        db.connection().exec_driver_sql("UPDATE send_attempt SET provider_sid = NULL, outcome = 'refused'")
    counts = [recover_since(restoring(app), NOW - HOUR) for _ in range(2)]
    assert [found.unexplained for found in counts] == [1, 1]
    with app.sessions() as db:
        assert len(db.scalars(select(JournalEntry).where(JournalEntry.kind == "unexplained")).all()) == 1


def test_a_person_can_not_resume_past_the_guard(drill: Drill) -> None:
    app = drill.app()
    with app.sessions.begin() as db:
        factories.clinic(db)
        guard.hold(db, guard.Cause.SILENCE, since=NOW - HOUR, now=NOW)
    with (
        pytest.raises(AftercareError, match="recover --since 2026-03-02T14:00:00Z --release"),
        app.sessions.begin() as db,
    ):
        staffing.resume(db, by="test", now=NOW)
    with app.sessions() as db:
        assert running.installation(db).paused_at == NOW
        assert [task.level for task in db.scalars(select(Task))] == ["red"]
        assert db.scalar(select(Clinic.paused_at)) is None


def test_another_key_on_the_same_database_holds_sending_until_it_is_adopted(drill: Drill) -> None:
    first, second = drill.app(), drill.app(key="another")
    assert start(first, drill) is None
    assert start(second, drill) is guard.Cause.SECOND
    assert start(first, drill) is guard.Cause.SECOND, "held for both"
    assert release(restoring(second), by="test", account=ACCOUNT_SID)
    assert start(second, drill) is None
    assert not release(restoring(second), by="test", account=ACCOUNT_SID)


def test_a_clock_that_is_wrong_holds_sending(drill: Drill) -> None:
    """This test's clock stands in the past, and the database's is the machine's."""
    app = drill.app()
    guard_start(app)
    with app.sessions() as db:
        assert running.installation(db).guard_cause == "clock"


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("signs", "cause"),
    [
        (guard.Signs(None, (), "a", None), None),
        (guard.Signs(NOW - 30 * MINUTE, (), "a", "a"), None),
        (guard.Signs(NOW - 31 * MINUTE, (), "a", "a"), guard.Cause.SILENCE),
        (guard.Signs(NOW, (NOW + MINUTE, None), "a", "a"), None),
        (guard.Signs(NOW, (NOW - MINUTE * 1.1,), "a", "a"), guard.Cause.CLOCK),
        (guard.Signs(NOW + MINUTE * 2, (), "a", "a"), guard.Cause.CLOCK),
        (guard.Signs(NOW, (), "a", "b"), guard.Cause.SECOND),
        (guard.Signs(NOW, (), None, "b"), None),
    ],
    ids=["first start", "half an hour", "longer", "a minute off", "more", "beat in the future", "second", "no key"],
)
def test_what_a_start_is_judged_by(signs: guard.Signs, cause: guard.Cause | None) -> None:
    assert guard.judge(signs, now=NOW) is cause
