"""Letting go of what was held: only that, only there, and at once."""

from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.flows.holding import release
from service.store.tables import Sender
from tests.domain.cases import HOUR
from tests.flows.clinic_life import ClinicLife
from tests.store.factories import NOW

Sessions = sessionmaker[Session]


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    with sessions.begin() as db:
        db.add(Sender(id=2, key="second"))
    return ClinicLife(sessions)


@pytest.mark.parametrize(
    ("which", "released"),
    [
        pytest.param({}, {"ours", "of another clinic", "of another sender"}, id="everywhere"),
        pytest.param({"clinic_id": "clinic"}, {"ours", "of another sender"}, id="of a clinic"),
        pytest.param({"patient_id": "patient"}, {"ours"}, id="of a patient"),
        pytest.param({"sender_id": "sender"}, {"ours", "of another clinic"}, id="of a sender"),
    ],
)
def test_what_is_held_for_a_reason_is_let_go(life: ClinicLife, which: dict[str, str], released: set[str]) -> None:
    ours, theirs = life.patient(), life.patient(of=life.another_clinic())
    held: dict[str, Any] = {"held_reason": "paused", "attempt_at": NOW + HOUR}
    rows = {
        "ours": life.message(ours, **held),
        "of another clinic": life.message(theirs, **held),
        "of another sender": life.message(life.patient(), **held, sender_id=2),
        "for another reason": life.message(ours, **held | {"held_reason": "cap"}),
        "ended": life.message(ours, **held, state="missed"),
    }
    keys = {"clinic": life.clinic.id, "patient": ours.id, "sender": 1}
    with life.sessions.begin() as db:
        filters = {name: keys[value] for name, value in which.items()}
        assert release(db, "paused", now=NOW, **filters) == len(released)
    free = {
        name for name, row in rows.items() if (life.fresh(row).attempt_at, life.fresh(row).held_reason) == (NOW, None)
    }
    assert free == released


def test_what_was_let_go_is_looked_at_once_more(life: ClinicLife) -> None:
    patient = life.patient()
    life.plan()
    text = life.message(patient, held_reason="paused", attempt_at=NOW + HOUR)
    life.change(life.clinic, paused_at=NOW)
    with life.sessions.begin() as db:
        release(db, "paused", now=NOW)
    life.dispatch()
    assert (life.fresh(text).state, life.fresh(text).held_reason) == ("planned", "clinic_paused")
