"""Proving the promises: every rule of sending is judged again, from what rows and journal say today of what happened.

Nothing here asks what the sender asked: facts are gathered by queries of their own, and only the rules themselves are the
same. Nothing is written, and all of it sees one moment of the database.
"""

from collections.abc import Callable, Mapping
from functools import partial

from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.errors import AftercareError
from service.flows.policy import Approval
from service.flows.verification.aftercare import look_at_aftercare
from service.flows.verification.agreement import after_opt_out, without_consent
from service.flows.verification.answers import look_at_answers
from service.flows.verification.caps import look_at_caps
from service.flows.verification.dossiers import Dossier, dossiers
from service.flows.verification.doubling import sent_twice
from service.flows.verification.findings import Findings, Judgement, Rule
from service.flows.verification.library import Library
from service.flows.verification.stories import state_without_story
from service.flows.verification.timing import after_expiry, outside_window
from service.flows.verification.withdrawal import after_withdrawal
from service.flows.verification.wording import unapproved_text
from service.store.evidence import Attempt, snapshot

ASKS_EVERY = 1000
OF_A_TEXT: Mapping[Rule, Callable[[Dossier], Judgement]] = {
    Rule.SENT_TWICE: sent_twice,
    Rule.STATE_WITHOUT_STORY: state_without_story,
}
OF_A_SENDING: Mapping[Rule, Callable[[Dossier, Attempt], Judgement]] = {
    Rule.SENT_AFTER_OPT_OUT: after_opt_out,
    Rule.SENT_WITHOUT_CONSENT: without_consent,
    Rule.SENT_AFTER_WITHDRAWAL: after_withdrawal,
    Rule.SENT_AFTER_EXPIRY: after_expiry,
    Rule.SENT_OUTSIDE_WINDOW: outside_window,
}


class StoppedEarlyError(AftercareError):
    """The process ends: what was looked at so far says nothing."""

    def __init__(self) -> None:
        super().__init__("The proof was stopped before it was through. Nothing was changed; run it again.")


def verify(
    sessions: sessionmaker[Session],
    clock: Clock,
    *,
    approval: Approval = Approval.WAIVED,
    go_on: Callable[[], bool] = lambda: True,
) -> Findings:
    """Judge every rule over everything there is; ``checked`` names all of them. ``approval`` as it stands for sending.

    Raises :class:`StoppedEarlyError` where ``go_on`` says no, which is asked every thousand texts.
    """
    now, findings = clock(), Findings()
    findings.checked.update(dict.fromkeys(Rule, 0))
    with sessions() as db:
        library = Library(snapshot(db))
        for n, dossier in enumerate(dossiers(db, library)):
            if n % ASKS_EVERY == 0:
                _stop_unless(go_on)
            _look_at_text(dossier, findings, approval=approval)
        for look in (look_at_caps, partial(look_at_aftercare, now=now)):
            _stop_unless(go_on)
            look(db, library, findings)
        look_at_answers(db, findings)
    return findings


def _stop_unless(go_on: Callable[[], bool]) -> None:
    if not go_on():
        raise StoppedEarlyError


def _look_at_text(of: Dossier, findings: Findings, *, approval: Approval) -> None:
    message_id, session_id = of.text.id, of.text.session_id
    for rule, judge in OF_A_TEXT.items():
        findings.note(rule, judge(of), message_id=message_id, session_id=session_id)
    for attempt in of.left:
        for rule, judge_sending in OF_A_SENDING.items():
            findings.note(rule, judge_sending(of, attempt), message_id=message_id, session_id=session_id)
        worded = unapproved_text(of, attempt, approval=approval)
        findings.note(Rule.UNAPPROVED_TEXT, worded, message_id=message_id, session_id=session_id)
