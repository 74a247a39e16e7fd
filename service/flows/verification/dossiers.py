"""One dossier a text: the row, every handing over, the story, and what each rule must know beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from service.domain.careplan import CarePlan, Step
from service.flows.verification.library import Library, Place
from service.store import evidence
from service.store.evidence import Attempt, Entry, LedgerLine, Range, SessionDates, Text
from service.store.evidence_content import Wording

BATCH = 2_000
UNDATED = ("not_done", "entered_in_error")
"""Statuses of a session whose beginning only the journal knows, because planning then withdraws its texts."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that is known of one text. ``left``: the handings over that the provider took, or may have, in order.

    ``ledgers`` by number. ``session_off_at``: when planning withdrew texts because the session got the status that it has.
    """

    text: Text
    attempts: Sequence[Attempt]
    left: Sequence[Attempt]
    story: Sequence[Entry]
    plan: CarePlan | None
    step: Step | None
    wording: Wording | None
    session: SessionDates | None
    session_off_at: datetime | None
    place: Place | None
    ledgers: Mapping[str, Sequence[LedgerLine]]

    @property
    def for_staff(self) -> bool:
        """Whether it goes to a phone of staff: a page, or a test."""
        return self.text.kind == "page" or (self.text.kind == "staff" and self.text.patient_id is None)

    def is_last(self, attempt: Attempt) -> bool:
        """Whether what the row says of the text that was sent is about this handing over."""
        return attempt is self.attempts[-1]

    def tells(self, *kinds: str) -> list[Entry]:
        """The entries of its story that are of these kinds."""
        return [entry for entry in self.story if entry.kind in kinds]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the database holds about some messages, by key."""

    attempts: Mapping[int, Sequence[Attempt]]
    entries: Mapping[int, Sequence[Entry]]
    sessions: Mapping[int, SessionDates]
    session_off_at: Mapping[int, datetime]
    zones: Mapping[int, str]
    ledgers: Mapping[str, Sequence[LedgerLine]]


def dossiers(db: Session, library: Library) -> Iterator[Dossier]:
    """Every text there is, by id; only some thousand are in memory at once."""
    after = 0
    while texts := evidence.texts(db, after=after, limit=BATCH):
        after = texts[-1].id
        batch = _gather(db, Range(texts[0].id, after))
        library.fetch_wordings({text.template_version_id for text in texts if text.template_version_id is not None})
        for text in texts:
            yield _dossier(text, batch, library)


def _gather(db: Session, of: Range) -> _Batch:
    sessions = evidence.session_dates(db, of)
    off_at: dict[int, datetime] = {}
    for status in UNDATED:
        if ids := [session.id for session in sessions.values() if session.status == status]:
            off_at |= evidence.withdrawn_at(db, ids, reason=f"session_{status}")
    return _Batch(
        attempts=evidence.attempts(db, of),
        entries=evidence.entries(db, of),
        sessions=sessions,
        session_off_at=off_at,
        zones=evidence.zones_of_patients(db, of),
        ledgers=evidence.ledger(db, of),
    )


def _dossier(text: Text, batch: _Batch, library: Library) -> Dossier:
    attempts = batch.attempts.get(text.id, ())
    plan = library.plan(text.plan_version_id)
    return Dossier(
        text=text,
        attempts=attempts,
        left=[attempt for attempt in attempts if attempt.may_have_left],
        story=batch.entries.get(text.id, ()),
        plan=plan,
        step=plan.step(text.step) if plan else None,
        wording=library.wording(text.template_version_id),
        session=batch.sessions.get(text.session_id or 0),
        session_off_at=batch.session_off_at.get(text.session_id or 0),
        place=library.place(text.clinic_id, batch.zones.get(text.patient_id or 0)),
        ledgers=batch.ledgers,
    )
