"""What a text from a phone means and what follows, as far as no judgement is needed; everything else goes to a person.

Opt-out, help and opt-in words come first, whatever was asked. An answer counts for the last question to a patient, and only
where it fits one patient of that number.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog
from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from service.domain.consent import Standing, standing
from service.domain.replies import read_reply
from service.flows.consent import Said, enter, grant, withdraw
from service.flows.handing_over import ask_about_sessions, hand_over
from service.flows.lines import Line, line_of, sender_of
from service.flows.questions import CLOCKS_DIFFER, Question, keywords_of, last_questions
from service.flows.replying import reply
from service.store import consent, content, journal
from service.store.tables import Inbound, TemplateVersion, TreatmentSession

StopReplies = Literal["provider", "own"]
"""Who confirms opt-outs and answers calls for help: the provider by itself, or we."""
ABOUT_TEXTING = ("stop", "start", "consent")
STOP_CONFIRM_FOR = timedelta(minutes=5)
"""47 CFR 64.1200(a)(12): a confirmation within five minutes is presumed to be fine."""
ANSWER_FOR = timedelta(hours=1)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Heard:
    """A text being understood: ``answered`` are the questions it may answer; ``said_at`` when it was said, at the latest now."""

    db: Session
    inbound: Inbound
    line: Line
    stop_replies: StopReplies
    said_at: datetime
    now: datetime
    meaning: str
    answered: tuple[Question, ...]

    @property
    def evidence(self) -> str:
        """Names this text in the ledger."""
        return f"inbound:{self.inbound.id}"


def understand(db: Session, inbound: Inbound, *, now: datetime, stop_replies: StopReplies) -> None:
    """Do what the text says, and note on its row what it was understood as. Raises where there is no clinic at all."""
    line = line_of(db, inbound.from_number, sender_id=sender_of(db, inbound))
    said_at = min(inbound.received_at, now)
    meaning, answered = _read(db, inbound.body, line, said_at)
    ACTS[meaning](Heard(db, inbound, line, stop_replies, said_at, now, meaning, answered))
    patients = {question.message.patient_id for question in answered} or {patient.id for patient in line.patients}
    inbound.patient_id = patients.pop() if len(patients) == 1 else None
    inbound.clinic_id = answered[0].message.clinic_id if len(answered) == 1 else line.clinic_id
    inbound.state, inbound.reading, inbound.understood_at = "understood", meaning, now
    log.info("text_understood", inbound=inbound.id, reading=meaning)


def _read(db: Session, body: str, line: Line, said_at: datetime) -> tuple[str, tuple[Question, ...]]:
    """The meaning, and the questions it answers: one, or several where it is ``unclear`` whose."""
    keywords, reply_words = keywords_of(db, line.clinic_ids), content.shipped_templates()["reply_words"]

    def meaning(expects: str | None) -> str:
        return read_reply(body, keywords=keywords, expects=expects, reply_words=reply_words).kind

    plain = meaning(None)
    if plain in ("stop", "help"):
        return plain, ()
    asked = last_questions(db, line, said_at=said_at)
    if plain == "start":
        consents = tuple(question for question in asked if question.expects == "yes_stop" and not question.late)
        return ("consent", consents) if len(consents) == 1 else ("start", ())
    fits = tuple(question for question in asked if meaning(question.expects) != "other")
    fits = tuple(question for question in fits if not question.late) or fits
    if len(fits) == 1:
        return meaning(fits[0].expects), fits
    return ("unclear" if fits else "other"), fits


def _stop(heard: Heard) -> None:
    line, before = heard.line, _standing(heard)
    if _overtaken(heard):
        enter(heard.db, line, _said(heard, line.clinic_ids), granted=False, at=_before(heard))
        return
    withdraw(
        heard.db,
        number=line.number,
        sender_id=line.sender_id,
        now=heard.now,
        method="text",
        evidence=heard.evidence,
    )
    ask_about_sessions(heard.db, heard.inbound, line=line, now=heard.now)
    if before is not Standing.REVOKED and heard.stop_replies == "own":
        _answer(heard, "stop_confirm", STOP_CONFIRM_FOR)


def _standing(heard: Heard) -> Standing:
    line = heard.line
    entries = consent.entries_for(heard.db, [line.number])[line.number]
    return standing(entries, clinic_id=line.clinic_id, sender_id=line.sender_id, now=heard.now)


def _start(heard: Heard) -> None:
    """Back to what was agreed: the clinics that had the number's consent, or else those that know the number."""
    line, known = heard.line, set(heard.line.clinic_ids)
    entries = consent.entries_for(heard.db, [line.number])[line.number]
    about = [entry for entry in entries if entry.clinic_id in known or entry.sender_id == line.sender_id]
    if not about and not line.patients:
        _to_a_person(heard)
        return
    is_on = _opt_in(heard, {entry.clinic_id for entry in about if entry.granted} & known or known)
    if is_on and heard.stop_replies == "own":
        _answer(heard, "start_confirm", ANSWER_FOR)


def _consent(heard: Heard) -> None:
    question = heard.answered[0]
    if question.late:
        _to_a_person(heard, "late")
    else:
        _opt_in(heard, {question.message.clinic_id}, wording_version=_wording(heard.db, question))


def _wording(db: Session, question: Question) -> str | None:
    """The text that was agreed to: key, language and version."""
    version_id = question.message.template_version_id
    version = db.get(TemplateVersion, version_id) if version_id is not None else None
    return f"{version.key}/{version.language}/{version.version}" if version else question.message.template


def _opt_in(heard: Heard, clinic_ids: Collection[int], *, wording_version: str | None = None) -> bool:
    """False where it comes too late to have any effect."""
    said, overtaken = _said(heard, clinic_ids, wording_version), _overtaken(heard)
    if overtaken:
        enter(heard.db, heard.line, said, granted=True, at=_before(heard))
    else:
        grant(heard.db, heard.line, said, now=heard.now)
    return not overtaken


def _before(heard: Heard) -> datetime:
    """When it was said, and before whatever else was said at that very moment."""
    return heard.said_at - timedelta.resolution


def _said(heard: Heard, clinic_ids: Collection[int], wording_version: str | None = None) -> Said:
    return Said(tuple(clinic_ids), method="text", evidence=heard.evidence, wording_version=wording_version)


def _overtaken(heard: Heard) -> bool:
    """Whether the phone has said the opposite since, and that reached us earlier: then that counts.

    In doubt about which came last, nothing more is texted: a provider's clock is not ours.
    """
    mine, other = heard.inbound, Inbound
    if heard.meaning == "stop":
        since = and_(other.reading != "stop", other.received_at > mine.received_at + CLOCKS_DIFFER)
    else:
        same_time = and_(other.received_at == mine.received_at, other.id > mine.id)
        since = and_(other.reading == "stop", or_(other.received_at > mine.received_at, same_time))
    of_number = (other.from_number == mine.from_number, other.reading.in_(ABOUT_TEXTING))
    return bool(heard.db.scalar(select(exists().where(*of_number, since))))


def _help(heard: Heard) -> None:
    _to_a_person(heard)
    if heard.stop_replies == "own":
        _answer(heard, "help", ANSWER_FOR)


def _confirm(heard: Heard) -> None:
    """The patient comes at the time that the text told them; a session that is over needs no confirmation."""
    message = heard.answered[0].message
    session = heard.db.get(TreatmentSession, message.session_id) if message.session_id is not None else None
    start = message.told_start
    if session is None or start is None:
        _to_a_person(heard)
    elif start <= heard.said_at:
        journal.append(heard.db, "answered_late", at=heard.now, message=message, data={"start": start.isoformat()})
    elif session.status != "booked" or heard.answered[0].late:
        _to_a_person(heard, "late")
    else:
        session.confirmed_start = start
        journal.append(heard.db, "confirmed", at=heard.now, message=message, data={"start": start.isoformat()})


def _other(heard: Heard) -> None:
    _to_a_person(heard)
    _answer(heard, "unknown_reply", ANSWER_FOR)


def _to_a_person(heard: Heard, sort: str | None = None) -> None:
    hand_over(heard.db, heard.inbound, sort or heard.meaning, line=heard.line, answered=heard.answered, now=heard.now)


def _answer(heard: Heard, template: str, expires_in: timedelta) -> None:
    reply(heard.db, heard.inbound, template=template, line=heard.line, now=heard.now, expires_in=expires_in)


ACTS: Mapping[str, Callable[[Heard], None]] = {
    "stop": _stop,
    "start": _start,
    "help": _help,
    "consent": _consent,
    "confirm": _confirm,
    "change": _to_a_person,
    "book": _to_a_person,
    "decline": _to_a_person,
    "unclear": _to_a_person,
    "other": _other,
}
