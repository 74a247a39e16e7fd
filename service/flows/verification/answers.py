"""Whether any text from a phone got two answers."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from sqlalchemy.orm import Session

from service.domain.careplan import Urgency
from service.flows.consent import STILL_DUE
from service.flows.verification.findings import Findings, Rule, Violation
from service.store import evidence_patients
from service.store.evidence_patients import Answer

RULE = Rule.TWO_REPLIES_TO_ONE_TEXT


def look_at_answers(db: Session, findings: Findings) -> None:
    """Every text from a phone that was answered, or is to be."""
    findings.note_all(RULE, _broken(db), looked_at=evidence_patients.texts_answered(db))


def _broken(db: Session) -> Iterator[Violation]:
    for _, to_text in groupby(evidence_patients.several_answers(db), key=attrgetter("inbound_id")):
        answers = list(to_text)
        if (words := two_replies(answers)) is not None:
            yield Violation(RULE, answers[1].message_id, None, words)


def two_replies(answers: Sequence[Answer]) -> str | None:
    """An alarming text that is an opt-out as well gets one answer to each; no other text gets two."""
    kinds = {answer.template for answer in answers}
    if len(kinds) < len(answers):
        return f"One text from a phone got {len(answers)} answers, more than one of them of the same kind."
    stops = [answer for answer in answers if answer.template == STILL_DUE]
    alarms = [answer for answer in answers if answer.urgency == Urgency.SAFETY]
    if len(answers) == 2 and len(stops) == len(alarms) == 1:
        return None
    return f"One text from a phone got {len(answers)} answers."
