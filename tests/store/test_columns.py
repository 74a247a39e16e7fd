"""A moment means the same on both databases, whoever wrote it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session, sessionmaker

from service.store.tables import Patient
from tests.store import factories

HALF_PAST_THREE = datetime(2026, 6, 1, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(HALF_PAST_THREE, id="in UTC"),
        pytest.param(HALF_PAST_THREE.astimezone(timezone(timedelta(hours=5, minutes=45))), id="in another zone"),
        pytest.param(HALF_PAST_THREE.replace(microsecond=1), id="to the microsecond"),
        pytest.param(None, id="none"),
    ],
)
def test_a_moment_comes_back_in_utc(sessions: sessionmaker[Session], moment: datetime | None) -> None:
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db), paused_until=moment)
        found = db.scalar(select(Patient.paused_until).where(Patient.id == patient.id))
        assert found == moment
        assert found is None or found.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(sessions: sessionmaker[Session]) -> None:
    with sessions() as db, pytest.raises(StatementError, match="a moment without a zone can not be stored: 2026-06-01"):
        db.execute(update(Patient).values(paused_until=HALF_PAST_THREE.replace(tzinfo=None)))


@pytest.mark.parametrize(
    "written",
    ["2026-06-01 15:30:00.000000", "2026-06-01 15:30:00", "2026-06-01T15:30:00Z", "2026-06-01T17:30:00+02:00"],
)
def test_what_another_program_wrote_into_sqlite_is_read(sqlite_sessions: sessionmaker[Session], written: str) -> None:
    with sqlite_sessions.begin() as db:
        factories.patient(db, factories.clinic(db))
        db.execute(text("UPDATE patient SET paused_until = :written"), {"written": written})
        assert db.scalar(select(Patient.paused_until)) == HALF_PAST_THREE
