"""Gathering what is known of patients into cases: the same facts for planning, the last look and every preview.

Other programs write these rows too, so they may hold what nobody can compute with. Such a patient has no case but a
fault, which staff are told; everybody else's texts go on.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from service.domain.careplan import Anchor, CarePlan
from service.domain.case import Case, ClinicFacts, PatientFacts, SessionFacts, Told
from service.domain.composition import TemplateText, Texts
from service.domain.consent import ConsentEntry, Standing, first_granted_at, granted_from, standing
from service.domain.errors import AftercareError
from service.domain.lifecycle import OUT_OF_HOUSE
from service.domain.opening_hours import parse_hours
from service.domain.plan_file import read_plan, window
from service.store import consent, content
from service.store.tables import Clinic, Holiday, Message, Patient, TreatmentSession

UNREADABLE = (AttributeError, TypeError, ValueError, OverflowError, DataError)
"""What reading a row raises that holds no moment where one should be, or one beyond all calendars ('infinity')."""

E164 = re.compile(r"\+[0-9]{7,15}")

Found = TypeVar("Found")


class FactsError(AftercareError):
    """Facts with which nothing can be computed. ``whose`` names clinic or patient by id."""

    def __init__(self, whose: str, what: str) -> None:
        self.whose = whose
        super().__init__(f"The data of {whose} can not be used: {what}")


@dataclass(frozen=True, slots=True)
class ClinicCase:
    """A clinic, from where it sends, and the plan version that it follows."""

    sender_id: int
    facts: ClinicFacts
    version_id: int
    plan: CarePlan


class Cases(dict[int, Case]):
    """Cases by patient id. ``faults``: of whom there is none, and why. ``clinics``: what holds for all of a clinic.

    ``unusable``: clinics of none of whose patients there can be a case.
    """

    def __init__(self, clinics: Mapping[int, ClinicCase | FactsError], faults: dict[int, FactsError]) -> None:
        super().__init__()
        self.clinics = {key: clinic for key, clinic in clinics.items() if isinstance(clinic, ClinicCase)}
        self.faults = faults
        self.unusable = clinics.keys() - self.clinics.keys()


def load_cases(db: Session, patient_ids: Collection[int], *, now: datetime, answers_understood: bool = True) -> Cases:
    """The case of each patient, read in a handful of queries however many patients there are."""
    faults: dict[int, FactsError] = {}
    ids = sorted(patient_ids)
    patients = each_readable(ids, lambda some: db.scalars(select(Patient).where(Patient.id.in_(some))), faults=faults)
    clinics = _clinics(db, patients, now=now, answers_understood=answers_understood)
    cases = Cases(clinics, faults)
    numbers = {patient.id: patient.phone for patient in patients if patient.phone}
    ledger = dict(
        each_readable(
            list(numbers), lambda some: consent.entries_for(db, {numbers[one] for one in some}).items(), faults=faults
        )
    )
    sessions = dict(each_readable(ids, lambda some: _sessions(db, some, cases.clinics).items(), faults=faults))
    for patient in (one for one in patients if one.id not in faults):
        lines = ledger.get(patient.phone or "", [])
        try:
            clinic = _of(patient, clinics)
            facts, own = _patient(patient, clinic, lines, now), tuple(sessions.get(patient.id, ()))
            cases[patient.id] = Case(clinic=clinic.facts, patient=facts, sessions=own, plan=clinic.plan)
        except FactsError as fault:
            faults[patient.id] = fault
    return cases


def each_readable(
    patient_ids: Sequence[int], read: Callable[[Sequence[int]], Iterable[Found]], *, faults: dict[int, FactsError]
) -> list[Found]:
    """What ``read`` finds of these patients. Whose rows can not be read gets a fault, and all others are found anyway."""
    try:
        return list(read(patient_ids))
    except UNREADABLE:
        if len(patient_ids) == 1:
            faults[patient_ids[0]] = _unreadable(f"patient {patient_ids[0]}")
            return []
    half = len(patient_ids) // 2
    parts = patient_ids[:half], patient_ids[half:]
    return [found for part in parts for found in each_readable(part, read, faults=faults)]


def _unreadable(whose: str) -> FactsError:
    return FactsError(whose, "one of its rows holds a date or time, or another value, that can not be read.")


def _clinics(
    db: Session, patients: Iterable[Patient], *, now: datetime, answers_understood: bool
) -> dict[int, ClinicCase | FactsError]:
    """The clinics of these patients, or why one's facts make no sense."""
    found: dict[int, ClinicCase | FactsError] = {}
    for clinic_id in sorted({patient.clinic_id for patient in patients}):
        try:
            row = db.get_one(Clinic, clinic_id)
            facts = clinic_facts(db, row, answers_understood=answers_understood)
            found[clinic_id] = ClinicCase(row.sender_id, facts, *live_plan(db, clinic_id, now=now))
        except FactsError as fault:
            found[clinic_id] = fault
        except UNREADABLE:
            found[clinic_id] = _unreadable(f"clinic {clinic_id}")
    return found


def _of(patient: Patient, clinics: Mapping[int, ClinicCase | FactsError]) -> ClinicCase:
    clinic = clinics[patient.clinic_id]
    if isinstance(clinic, FactsError):
        raise clinic
    return clinic


def clinic_facts(db: Session, clinic: Clinic, *, answers_understood: bool) -> ClinicFacts:
    """A clinic's row, read. Raises :class:`FactsError` for a zone, hours or durations that nobody could keep."""
    days = db.scalars(select(Holiday.day).where(Holiday.clinic_id == clinic.id))
    whose = f"clinic {clinic.id}"
    try:
        hours, opening = parse_hours(clinic.hours), window(clinic.window_opens, clinic.window_closes)
        rule_hours = {rule: float(duration) for rule, duration in clinic.rule_hours.items()}
    except (AftercareError, AttributeError, TypeError, ValueError) as error:
        raise FactsError(whose, f"its hours make no sense ({error}).") from error
    return ClinicFacts(
        id=clinic.id,
        sms_name=clinic.sms_name,
        zone=_zone(clinic.time_zone, whose),
        country=clinic.country,
        phone=clinic.phone,
        emergency=clinic.emergency,
        after_hours=clinic.after_hours,
        crisis_line=clinic.crisis_line,
        languages=tuple(language.strip() for language in clinic.languages.split(",")),
        hours=hours,
        holidays=frozenset(days),
        window=opening,
        plan_name=clinic.plan,
        interval_weeks=clinic.interval_weeks,
        transliterate=clinic.encoding == "transliterate",
        live_from=clinic.live_from,
        answers_understood=answers_understood,
        rule_hours=rule_hours,
    )


def _zone(name: str, whose: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # a folder of the time zone database raises the last
        raise FactsError(whose, f"{name!r} is no time zone. Write one like 'America/Chicago'.") from None


def live_plan(db: Session, clinic_id: int, *, now: datetime) -> tuple[int, CarePlan]:
    """The id and the content of the plan version that the clinic follows; the shipped one where it has none yet.

    Raises :class:`FactsError` where no version is live, or the live one can not be read.
    """
    content.ensure_seeded(db, clinic_id, now=now)
    version = content.live_plan(db, clinic_id)
    if version is None:
        raise FactsError(f"clinic {clinic_id}", "it has care plans, and none of them is live. Apply one.")
    try:
        return version.id, read_plan(version.document)
    except (AftercareError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise FactsError(f"clinic {clinic_id}", f"its care plan can not be read ({error}).") from error


def live_texts(db: Session, clinic_id: int) -> Texts:
    """The texts that the clinic sends, by key and language."""
    about = {template["key"]: template for template in content.shipped_templates()["templates"]}
    return {
        place: TemplateText(
            key=row.key,
            language=row.language,
            version=row.version,
            version_id=row.id,
            text=row.text,
            rules=tuple(about.get(row.key, {}).get("rules", ())),
            plain=about.get(row.key, {}).get("max_segments") == 1,
            approved=bool((row.approved_by or "").strip()) and row.approved_at is not None,
        )
        for place, row in content.live_templates(db, clinic_id).items()
    }


def _patient(row: Patient, clinic: ClinicCase, ledger: list[ConsentEntry], now: datetime) -> PatientFacts:
    if row.phone and not E164.fullmatch(row.phone):
        raise FactsError(f"patient {row.id}", "its number is not written with + and country code.")
    agreed_from = granted_from(ledger, clinic_id=row.clinic_id, sender_id=clinic.sender_id, now=now) or now
    stands = standing(ledger, clinic_id=row.clinic_id, sender_id=clinic.sender_id, now=agreed_from)
    is_textable = row.textable_since is not None and row.textable_since <= now
    return PatientFacts(
        id=row.id,
        phone=row.phone,
        language=row.language or clinic.facts.languages[0],
        zone=_own_zone(row),
        status=row.status,
        privacy=row.privacy,
        interval_weeks=row.interval_weeks,
        authorisation_ends=row.authorisation_ends,
        standing=stands,
        may_ask=row.may_ask,
        imported=row.imported,
        added_at=row.added_at,
        consented_at=first_granted_at(ledger, clinic_id=row.clinic_id) if stands is Standing.GRANTED else None,
        consented_by_text=_by_text(ledger, row.clinic_id),
        textable_since=row.textable_since if is_textable else agreed_from,
    )


def _own_zone(row: Patient) -> ZoneInfo | None:
    return _zone(row.time_zone, f"patient {row.id}") if row.time_zone else None


def _by_text(ledger: Iterable[ConsentEntry], clinic_id: int) -> bool:
    granted = [entry for entry in ledger if entry.granted and entry.clinic_id == clinic_id]
    return bool(granted) and granted[0].by_text


def _sessions(
    db: Session, patient_ids: Collection[int], clinics: Mapping[int, ClinicCase]
) -> defaultdict[int, list[SessionFacts]]:
    rows = select(TreatmentSession).where(TreatmentSession.patient_id.in_(patient_ids))
    ordered = rows.order_by(TreatmentSession.patient_id, TreatmentSession.scheduled_start, TreatmentSession.id)
    told = _told(db, patient_ids, clinics)
    found: defaultdict[int, list[SessionFacts]] = defaultdict(list)
    for patient_id, sessions in groupby(db.scalars(ordered), key=lambda row: row.patient_id):
        found[patient_id] = [_session(row, tuple(told[patient_id, row.id])) for row in sessions]
    return found


def _session(row: TreatmentSession, told: tuple[Told, ...]) -> SessionFacts:
    return SessionFacts(
        id=row.id,
        status=row.status,
        start=row.scheduled_start,
        end=row.scheduled_end,
        completed_at=row.completed_at,
        completion_known_at=row.completion_known_at,
        booked_at=row.booked_at,
        moved_at=row.moved_at,
        moves=row.moves,
        cancelled_at=row.cancelled_at,
        cancels=row.cancels,
        no_show_at=row.no_show_at,
        imported=row.imported,
        confirmed_start=row.confirmed_start,
        told=told,
    )


def _told(
    db: Session, patient_ids: Collection[int], clinics: Mapping[int, ClinicCase]
) -> defaultdict[tuple[int | None, int | None], list[Told]]:
    """What patients have been told of the starts of sessions, as far as they may have the text."""
    about = (Message.patient_id, Message.session_id, Message.clinic_id, Message.step)
    texts = select(*about, Message.told_start, Message.sent_at, Message.claimed_at).where(
        Message.patient_id.in_(patient_ids), Message.told_start.is_not(None), Message.state.in_(OUT_OF_HOUSE)
    )
    found: defaultdict[tuple[int | None, int | None], list[Told]] = defaultdict(list)
    for patient_id, session_id, clinic_id, key, start, sent_at, claimed_at in db.execute(texts):
        clinic = clinics.get(clinic_id)
        step = clinic.plan.step(key) if clinic else None
        calls_off = step is not None and step.anchor is Anchor.CANCELLED
        at = sent_at or claimed_at
        if start is not None and at is not None:
            found[patient_id, session_id].append(Told(at=at, start=start, called_off=calls_off))
    return found
