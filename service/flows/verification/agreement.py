"""Whether a number had agreed to texts, and had not withdrawn, when a text left."""

from collections.abc import Iterable
from datetime import datetime

from service.domain.careplan import Urgency
from service.domain.consent import ConsentEntry, Standing, standing
from service.domain.eligibility import TO_ANYBODY
from service.flows.verification.dossiers import Dossier
from service.flows.verification.findings import KEPT, NOT_ASKED, Judgement, moment
from service.store.evidence import Attempt, LedgerLine


def after_opt_out(of: Dossier, attempt: Attempt) -> Judgement:
    """Every text to a patient but the answers that anybody gets who texts."""
    if of.for_staff or _is_answer_to_anybody(of):
        return NOT_ASKED
    if _standing(of, attempt) is not Standing.REVOKED:
        return KEPT
    return (
        f"It left on {moment(attempt.started_at)}, when the number had opted out of texts from this clinic or sender."
    )


def without_consent(of: Dossier, attempt: Attempt) -> Judgement:
    """All of those but the request for consent. A withdrawal is for the other rule to name."""
    if of.for_staff or _is_answer_to_anybody(of) or (of.step is not None and not of.step.needs_consent):
        return NOT_ASKED
    if _standing(of, attempt) is not Standing.NONE:
        return KEPT
    return f"It left on {moment(attempt.started_at)}, when the clinic had no consent for the number on record."


def known_at(lines: Iterable[LedgerLine], look: datetime) -> list[ConsentEntry]:
    """What the look could know: a consent from its moment on, a withdrawal if it came before the look and not while it went on."""
    return [line.entry for line in lines if line.known_at < look or (line.entry.granted and line.known_at == look)]


def _is_answer_to_anybody(of: Dossier) -> bool:
    text = of.text
    is_answer = text.kind == "reply" and text.inbound_id is not None
    return is_answer and (text.urgency == Urgency.SAFETY or text.template in TO_ANYBODY)


def _standing(of: Dossier, attempt: Attempt) -> Standing:
    known = known_at(of.ledgers.get(attempt.number, ()), attempt.started_at)
    return standing(known, clinic_id=attempt.clinic_id, sender_id=attempt.sender_id, now=attempt.started_at)
