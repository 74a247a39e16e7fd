"""Writing the text of one message at the moment of sending, whatever kind it is."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from service.domain.case import NOBODY, Case
from service.domain.composition import Composed, TemplateText, Texts, compose, compose_free, pick
from service.domain.eligibility import Look
from service.domain.errors import AftercareError
from service.domain.templates import EmptyText
from service.flows.casework import clinic_facts, live_plan
from service.flows.policy import Approval
from service.store.tables import Clinic, Message


class NotApproved(AftercareError):  # noqa: N818 -- the name says what is missing
    """Nobody has put a name and a date to the version that would be sent."""

    def __init__(self, template: TemplateText) -> None:
        self.template = template
        super().__init__(f"The text {template.key} ({template.language}) is not approved.")


def write_text(
    db: Session,
    message: Message,
    look: Look | None,
    *,
    texts: Texts,
    now: datetime,
    approval: Approval = Approval.WAIVED,
) -> Composed:
    """The text as it leaves; notes on ``message`` which start time it names. Raises an own error for a hole.

    Raises :class:`NotApproved` for a template without the approval that is required; what staff wrote themselves needs none.
    """
    case = look.case if look else _nobody(db, message.clinic_id, now)
    if message.language is not None and message.kind != "plan":
        case = replace(case, patient=replace(case.patient, language=message.language))
    if message.template is None:
        return compose_free(_written(message), case)
    template = pick(texts, message.template, case)
    if approval is Approval.REQUIRED and message.kind != "page" and not template.approved:
        raise NotApproved(template)
    session = look.session if look else None
    message.told_start = session.start if session and template.names_start else None
    return compose(template, case, session=session, at=now)


def _written(message: Message) -> str:
    """What a person wrote; nobody is ever sent an empty text."""
    if not (message.text or "").strip():
        raise EmptyText
    return message.text or ""


def _nobody(db: Session, clinic_id: int, now: datetime) -> Case:
    """The case of a number that belongs to no patient: only the clinic can be spoken of."""
    clinic = clinic_facts(db, db.get_one(Clinic, clinic_id), answers_understood=True)
    stranger = replace(NOBODY, language=clinic.languages[0])
    return Case(clinic=clinic, patient=stranger, sessions=(), plan=live_plan(db, clinic_id, now=now)[1])
