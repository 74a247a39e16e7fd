"""A clinic to look at: on an empty database the service makes one up, with sessions around now, so that texts go out at once.

Only the rows that a clinic would write are made; planning and sending are the real ones. The people are invented, and their
numbers lie in a range that the North American numbering plan keeps for fiction (202-555-0100 to 0199).
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session

from service.domain.lifecycle import OUT_OF_HOUSE
from service.domain.windows import local_day, resolve_local
from service.flows.casework import live_plan
from service.store import consent, running
from service.store.messages import PLANNED, SENDING
from service.store.tables import Clinic, Installation, Message, Patient, SendAttempt, TemplateVersion, TreatmentSession

KEY = "sample"
ZONES = (
    *("Pacific/Auckland", "Australia/Sydney", "Asia/Tokyo", "Asia/Bangkok", "Asia/Dubai", "Europe/Istanbul"),
    *(
        "Europe/London",
        "America/Sao_Paulo",
        "America/New_York",
        "America/Denver",
        "Pacific/Honolulu",
        "Pacific/Pago_Pago",
    ),
)
BEST_HOUR = timedelta(hours=13)
"""On the clinic's clock: the morning's texts are due by then, and the hours for texts last for a while yet."""
KNOWN_FOR = timedelta(days=100)
SESSION = timedelta(minutes=20)
SOON = timedelta(seconds=8)
"""Steps that are not sent late fall due this long from now: they have to be planned first."""


@dataclass(frozen=True, slots=True)
class Invented:
    """A patient and the one session: how long until it begins (negative: ago), and whether it took place."""

    name: str
    language: str
    begins_in: timedelta
    completed: bool = False
    booked_ago: timedelta = timedelta(days=30)
    is_moved: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A text of the sample clinic that left, or is to leave (``text`` is empty then). ``at`` is on the clinic's clock."""

    message_id: int
    at: datetime
    to: str
    title: str
    text: str = ""


PEOPLE = (
    Invented("Maya", "en", timedelta(minutes=-30), completed=True),
    Invented("Ben", "en", timedelta(days=9), booked_ago=timedelta(minutes=10) - SOON, is_moved=True),
    Invented("Rosa", "es", timedelta(days=1)),
    Invented("Deniz", "tr", timedelta(days=-14), completed=True),
    Invented("Hannah", "en", SOON - timedelta(hours=24) - SESSION, completed=True),
    Invented("Mateo", "es", timedelta(days=7)),
    Invented("Elif", "tr", timedelta(days=-3), completed=True),
    Invented("Grace", "en", timedelta(days=-70), completed=True),
)
"""Aftercare now and in two minutes; booked, and later moved; tomorrow; two weeks after; a day after; in a week; three days
after; due again in two weeks."""


def make_sample(db: Session, *, now: datetime) -> Clinic | None:
    """Write the sample clinic, its people and their sessions; None, and nothing is written, where there is any clinic."""
    # Workers that start together ask one after the other: what one has written, the next one sees.
    db.get_one(Installation, running.ONE, with_for_update=True)
    if db.scalar(select(exists().select_from(Clinic))):
        return None
    zone = midday_zone(now)
    clinic = Clinic(
        key=KEY,
        name="Lakeside Headache Clinic (sample)",
        sms_name="Lakeside Clinic",
        time_zone=zone.key,
        country="US",
        phone="+12025550199",
        emergency="911",
        after_hours="+12025550198",
        crisis_line="988",
        languages="en,es,tr",
        hours="Mon-Sun 08:00-17:00",
        live_from=resolve_local(local_day(now, zone), time(0), zone),
        sample=True,
    )
    db.add(clinic)
    db.flush()
    _approve_texts(db, clinic, now)
    for n, person in enumerate(PEOPLE):
        _add_person(db, clinic, person, n=n, now=now)
    return clinic


def midday_zone(now: datetime) -> ZoneInfo:
    """A zone in which it is about one o'clock in the afternoon now, whatever the hour is here."""

    def distance(zone: ZoneInfo) -> timedelta:
        local = now.astimezone(zone)
        return abs(timedelta(hours=local.hour, minutes=local.minute) - BEST_HOUR)

    return min(map(ZoneInfo, ZONES), key=distance)


def zone_of(clinic: Clinic) -> ZoneInfo:
    return ZoneInfo(clinic.time_zone)


def find_sample(db: Session) -> Clinic | None:
    """The sample clinic, if this database has it."""
    return db.scalar(select(Clinic).where(Clinic.sample))


def move_session(db: Session) -> bool:
    """What a clinic does one day: a session that its patient was told of takes place a day later. Once; False after that."""
    sessions = select(TreatmentSession).join(Clinic, Clinic.id == TreatmentSession.clinic_id).where(Clinic.sample)
    told = exists().where(
        Message.session_id == TreatmentSession.id,
        Message.told_start == TreatmentSession.scheduled_start,
        Message.state.in_(OUT_OF_HOUSE),
    )
    moving = sessions.where(TreatmentSession.external_id == _external_id(_moved()), TreatmentSession.moves == 0, told)
    session = db.scalar(moving.where(TreatmentSession.scheduled_start == TreatmentSession.planned_start))
    if session is None:
        return False
    session.scheduled_start += timedelta(days=1)
    return True


def texts_since(db: Session, clinic: Clinic, *, since: datetime) -> list[Shown]:
    """What left for the clinic's patients since then, in the order in which it left."""
    left = select(SendAttempt, Message).join(Message, Message.id == SendAttempt.message_id)
    of_clinic = left.where(SendAttempt.clinic_id == clinic.id, SendAttempt.outcome == "accepted")
    rows = db.execute(of_clinic.where(SendAttempt.finished_at >= since).order_by(SendAttempt.finished_at))
    titles = _titles(db, clinic, since)
    return [
        Shown(
            message_id=message.id,
            at=(attempt.finished_at or since).astimezone(zone_of(clinic)),
            to=attempt.number,
            title=titles.get(message.step, message.template or message.kind),
            text=attempt.text,
        )
        for attempt, message in rows
    ]


def next_text(db: Session, clinic: Clinic) -> Shown | None:
    """What leaves next, and when, be it due or on its way by now; None where nothing is planned that is not held."""
    planned = select(Message).where(
        or_(PLANNED, SENDING), Message.clinic_id == clinic.id, Message.held_reason.is_(None)
    )
    first = db.scalar(planned.where(Message.due_at.is_not(None)).order_by(Message.due_at, Message.id).limit(1))
    if first is None or first.due_at is None:
        return None
    patient = db.get_one(Patient, first.patient_id) if first.patient_id else None
    return Shown(
        message_id=first.id,
        at=first.due_at.astimezone(zone_of(clinic)),
        to=first.to_number or (patient.phone if patient else None) or "",
        title=_titles(db, clinic, first.due_at).get(first.step, first.kind),
    )


def keep_from_phones(db: Session, *, now: datetime) -> None:
    """Before texts are real: nothing of the sample leaves, whose numbers are nobody's."""
    sample = update(Clinic).where(Clinic.sample, Clinic.paused_at.is_(None))
    db.execute(sample.values(paused_at=now, pause_reason="The people of the sample clinic are invented."))


def _titles(db: Session, clinic: Clinic, now: datetime) -> dict[str | None, str]:
    return {step.key: step.title for step in live_plan(db, clinic.id, now=now)[1].steps}


def _approve_texts(db: Session, clinic: Clinic, now: datetime) -> None:
    live_plan(db, clinic.id, now=now)  # brings the shipped texts
    texts = update(TemplateVersion).where(TemplateVersion.clinic_id == clinic.id)
    db.execute(texts.values(approved_by="the sample", approved_at=now))


def _add_person(db: Session, clinic: Clinic, person: Invented, *, n: int, now: datetime) -> None:
    known = now - KNOWN_FOR
    patient = Patient(
        clinic_id=clinic.id,
        external_id=_external_id(n),
        first_name=person.name,
        last_name="Example",
        phone=f"+1202555{100 + n:04}",
        language=person.language,
        added_at=known,
        textable_since=known,
    )
    db.add(patient)
    db.flush()
    consent.append(
        db,
        clinic_id=clinic.id,
        number=patient.phone or "",
        sender_id=None,
        granted=True,
        at=known,
        method="form",
        evidence="invented for the sample",
    )
    db.add(_session(clinic, patient, person, now=now))


def _session(clinic: Clinic, patient: Patient, person: Invented, *, now: datetime) -> TreatmentSession:
    start = now + person.begins_in
    if not person.completed:
        start = start.replace(minute=start.minute // 15 * 15, second=0, microsecond=0)
    done = start + SESSION if person.completed else None
    return TreatmentSession(
        clinic_id=clinic.id,
        patient_id=patient.id,
        external_id=patient.external_id,
        scheduled_start=start,
        completed_at=done,
        completion_known_at=done,
        status="completed" if person.completed else "booked",
        source="sample",
        booked_at=min(start, now) - person.booked_ago,
    )


def _external_id(n: int) -> str:
    return f"sample-{n}"


def _moved() -> int:
    return next(n for n, person in enumerate(PEOPLE) if person.is_moved)
