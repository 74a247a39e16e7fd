"""What is kept how long, by clinic: after its time it is gone, before it stays, and the promises can still be proven."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.consent import Standing, standing
from service.flows.clinic_options import OptionsError
from service.flows.clinics import set_clinic
from service.flows.forgetting import wait_after
from service.flows.inbox import poll_inbound
from service.flows.receipts import poll_receipts
from service.flows.retention import DAY, Retention, let_go
from service.flows.verification.verifying import verify
from service.store import consent
from service.store.seals import seal_with
from service.store.tables import (
    Clinic,
    Consent,
    Inbound,
    JournalEntry,
    Message,
    Patient,
    ProviderCopy,
    RawReceipt,
    SendAttempt,
    TreatmentSession,
)
from tests.flows.clinic_life import SENDER, ClinicLife
from tests.store import factories

Sessions = sessionmaker[Session]


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    seal_with(sessions, "key")
    return ClinicLife(sessions)


def rows(life: ClinicLife, *columns: Any) -> list[Any]:
    with life.sessions() as db:
        return [row[0] if len(row) == 1 else tuple(row) for row in db.execute(select(*columns).order_by(columns[0]))]


def texted(life: ClinicLife) -> Patient:
    """Treated now, with texts both ways that have arrived, and one that staff wrote and took back."""
    patient = life.patient()
    life.completed(life.now - timedelta(hours=1), of=patient)
    life.message(patient, text="see you", template=None)
    life.message(patient, text="never mind", state="cancelled", reason="staff: x", due_at=life.now)
    life.tick()
    life.network.say(str(patient.phone), SENDER, body="thank you", now=life.now)
    poll_inbound(life.sessions, life.gateway, life.clock, stop_replies="own")
    life.wait(minutes=5)
    poll_receipts(life.sessions, life.gateway, life.clock)
    return patient


def words(life: ClinicLife) -> set[str]:
    found = rows(life, SendAttempt.text) + rows(life, Inbound.body)
    return {text for text in found + [text for text in rows(life, Message.text) if text] if text}


def age(life: ClinicLife, **time: float) -> int:
    life.now += timedelta(**time)
    return let_go(life.sessions, life.clock)


def test_words_go_two_years_after_the_last_session(life: ClinicLife) -> None:
    texted(life)
    before = words(life)
    assert {"see you", "never mind", "thank you"} <= before
    age(life, days=729)
    assert words(life) == before
    age(life, days=3)
    assert words(life) == set()
    with life.sessions() as db:
        entry = db.scalars(select(JournalEntry).where(JournalEntry.kind == "kept_long_enough")).one()
        assert entry.data.keys() == {"texts", "texts_unsent", "replies"}
        wanted = set(db.scalars(select(ProviderCopy.provider_sid)))
        assert wanted >= {*life.network.accepted, *(heard.sid for heard in life.network.heard)}
    assert age(life) == 0, "there is nothing more to let go of"
    findings = verify(life.sessions, life.clock).in_order()
    assert [found for found in findings if found.rule == "unapproved_text"] == []


def test_a_later_session_keeps_the_words_of_earlier_ones(life: ClinicLife) -> None:
    patient = texted(life)
    before = words(life)
    life.session(patient, scheduled_start=life.now + timedelta(days=400))
    age(life, days=1000)
    assert words(life) == before
    age(life, days=200)
    assert words(life) == set()


def test_each_clinic_has_its_own_period(life: ClinicLife) -> None:
    texted(life)
    strict = life.another_clinic(keep_texts_months=1, sender_id=life.clinic.sender_id)
    theirs = life.patient(of=strict)
    life.message(theirs, text="short lived", template=None)
    life.tick()
    life.wait(minutes=5)
    poll_receipts(life.sessions, life.gateway, life.clock)
    age(life, days=40)
    assert "short lived" not in words(life)
    assert "see you" in words(life)


def test_raw_reports_go_after_thirty_days_and_what_they_said_stays(life: ClinicLife) -> None:
    texted(life)
    with life.sessions.begin() as db:
        stray = {"provider_sid": "SMstray", "status": "sent", "fields": {"To": "+1"}, "received_at": life.now}
        db.add(RawReceipt(**stray, applied_at=life.now))
        db.add(RawReceipt(**stray | {"provider_sid": "SMwaits"}))
    told = rows(life, RawReceipt.id, RawReceipt.status), rows(life, Inbound.id, Inbound.body)
    assert all(rows(life, RawReceipt.fields))
    age(life, days=29)
    assert all(rows(life, RawReceipt.fields))
    age(life, days=2)
    with life.sessions() as db:
        assert [r.provider_sid for r in db.scalars(select(RawReceipt)) if r.fields] == ["SMwaits"]
    assert not any(rows(life, Inbound.fields))
    assert (rows(life, RawReceipt.id, RawReceipt.status), rows(life, Inbound.id, Inbound.body)) == told


def a_number(life: ClinicLife, *, revoked: bool = True, number: str = "+12025559901") -> str:
    with life.sessions.begin() as db:
        whose: dict[str, Any] = {"clinic_id": life.clinic.id, "number": number, "sender_id": 1, "method": "text"}
        consent.append(db, **whose, granted=not revoked, at=life.now)
    return number


def test_a_number_that_is_nobodys_is_sealed_after_six_years_and_its_opt_out_still_counts(life: ClinicLife) -> None:
    number = a_number(life)
    age(life, days=6 * 365)
    assert rows(life, Consent.number) == [number]
    age(life, days=4)
    assert all(each.startswith("#") for each in rows(life, Consent.number))
    with life.sessions() as db:
        entries = consent.entries_for(db, [number])[number]
        assert standing(entries, clinic_id=life.clinic.id, sender_id=1, now=life.now) is Standing.REVOKED


def test_a_patients_number_is_kept_as_long_as_they_are_one(life: ClinicLife) -> None:
    patient = life.patient()
    age(life, days=4000)
    assert rows(life, Consent.number) == [patient.phone]


def test_without_a_lasting_key_numbers_stay_and_all_else_goes(life: ClinicLife) -> None:
    number = a_number(life)
    texted(life)
    life.sessions.configure(info={})
    age(life, days=4000)
    assert number in rows(life, Consent.number)
    assert words(life) == set()


def test_a_worker_that_is_to_stop_leaves_the_rest_for_later(life: ClinicLife) -> None:
    texted(life)
    before = words(life)
    life.now += timedelta(days=4000)
    assert let_go(life.sessions, life.clock, go_on=lambda: False) == 0
    assert words(life) == before


def test_the_tick_lets_go_once_a_day_and_asks_the_provider_each_time(life: ClinicLife) -> None:
    tick = Retention(life.sessions, life.gateway, life.clock, go_on=lambda: True)
    assert tick() == 0
    texted(life)
    with life.sessions.begin() as db:
        db.execute(update(Clinic).values(keep_texts_months=1))
        db.execute(update(TreatmentSession).values(scheduled_start=factories.NOW - timedelta(days=90)))
        db.execute(update(TreatmentSession).values(completed_at=None))
        db.execute(update(SendAttempt).values(started_at=factories.NOW - timedelta(days=60)))
    assert tick() == 0
    assert "see you" in words(life)
    life.now += DAY
    assert tick() > 0
    assert "see you" not in words(life)


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 1), (2, 2), (5, 16), (9, 256), (10, 360), (1000, 360)], ids=str)
def test_the_provider_is_asked_ever_more_rarely(attempts: int, minutes: int) -> None:
    assert wait_after(attempts) == timedelta(minutes=minutes)


def set_period(life: ClinicLife, **given: int) -> Clinic:
    with life.sessions.begin() as db:
        clinic = db.get_one(Clinic, life.clinic.id)
        set_clinic(db, clinic, given=given, holidays=None, by="officer", now=life.now)
    found = life.fresh(clinic)
    assert isinstance(found, Clinic)
    return found


def test_a_clinic_says_how_long(life: ClinicLife) -> None:
    clinic = set_period(life, keep_texts_months=12, keep_consent_years=10, keep_raw_days=7)
    assert (clinic.keep_texts_months, clinic.keep_consent_years, clinic.keep_raw_days) == (12, 10, 7)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"keep_texts_months": 0}, "--keep-texts-months: 0 is no number of months from 1 to 600"),
        ({"keep_consent_years": 51}, "--keep-consent-years: 51 is no number of years from 1 to 50"),
        ({"keep_raw_days": -1}, "--keep-raw-days: -1 is no number of days"),
    ],
    ids=["no time at all", "too long", "less than none"],
)
def test_a_period_that_is_none(life: ClinicLife, given: dict[str, int], told: str) -> None:
    with pytest.raises(OptionsError, match=told):
        set_period(life, **given)
