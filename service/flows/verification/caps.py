"""Whether a patient got more texts than the plan allows. What the patient has asked for counts for nothing."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy.orm import Session

from service.domain.careplan import Caps, Urgency
from service.flows.verification.findings import KEPT, NOT_ASKED, Findings, Judgement, Rule, moment
from service.flows.verification.library import Library
from service.flows.verification.timing import UNASKED
from service.store import evidence_patients
from service.store.evidence_patients import Counted

BATCH = 1_000
DAY, WEEK = timedelta(hours=24), timedelta(days=7)


def look_at_caps(db: Session, library: Library, findings: Findings) -> None:
    """Go through everybody's texts in the order in which they left."""
    after = 0
    while (last := evidence_patients.patients_after(db, after, limit=BATCH)) is not None:
        texts = evidence_patients.counted(db, after=after, last=last)
        for _, to_patient in groupby(texts, key=lambda text: text.patient_id):
            _look_at_patient(list(to_patient), library, findings)
        after = last


def _look_at_patient(texts: Sequence[Counted], library: Library, findings: Findings) -> None:
    moments = [text.started_at for text in texts]
    for n, text in enumerate(texts):
        found = over_cap(text, moments[:n], _caps(text, library))
        findings.note(Rule.SENT_OVER_CAP, found, message_id=text.message_id, session_id=text.session_id)


def over_cap(text: Counted, before: Sequence[datetime], caps: Caps | None) -> Judgement:
    """Aftercare of the day counts, and nothing holds it back."""
    if caps is None or text.kind not in UNASKED or text.urgency != Urgency.ROUTINE:
        return NOT_ASKED
    for most, span, words in ((caps.per_24h, DAY, "24 hours"), (caps.per_7d, WEEK, "7 days")):
        had = len(before) - bisect_right(before, text.started_at - span)
        if had >= most:
            return f"It left on {moment(text.started_at)}, when the patient had {had} texts in {words}; {most} are allowed."
    return KEPT


def _caps(text: Counted, library: Library) -> Caps | None:
    """By the plan that the text followed; for what staff wrote, by that of the clinic at the time."""
    plan = library.plan(text.plan_version_id or library.version_at(text.clinic_id, text.started_at))
    return plan.caps if plan else None
