"""Letting go of what was kept long enough, by each clinic's own periods: in small batches, as often as one likes."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.sms import SmsGateway
from service.flows.forgetting import forget_due
from service.store import ageing, erasure, journal
from service.store.seals import NoKeyError, OtherKeyError, sealer_of
from service.store.tables import Clinic

DAY, MONTH, YEAR = timedelta(days=1), timedelta(days=30.4375), timedelta(days=365.25)
NOBODYS_DAYS = 30
"""Reports on texts that none of our requests knows belong to no clinic and follow the default."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Run:
    """One run for one clinic; ``done`` counts what was let go of. Each batch is a transaction of its own."""

    sessions: sessionmaker[Session]
    clinic: Clinic
    now: datetime
    go_on: Callable[[], bool]
    done: Counter[str]

    def texts(self) -> None:
        """Words, and with them the provider's copies."""
        before, after = self.now - self.clinic.keep_texts_months * MONTH, 0
        while self.go_on():
            with self.sessions.begin() as db:
                found = ageing.texts(db, self.clinic.id, before=before, after=after)
                self._order(db, [sid for _, sid in found])
            self.done["texts"] += len(found)
            if not found:
                break
            after = found[-1][0]
        self._until_nothing("texts_unsent", lambda db: ageing.free_texts(db, self.clinic.id, before=before))
        self._until_nothing("replies", lambda db: self._order(db, ageing.replies(db, self.clinic.id, before=before)))

    def raw(self) -> None:
        """What the provider said, word for word."""
        before, of = self.now - timedelta(days=self.clinic.keep_raw_days), self.clinic.id
        self._through(lambda db, after: ageing.raw_receipts(db, of, before=before, after=after))
        self._through(lambda db, after: ageing.raw_replies(db, of, before=before, after=after))

    def numbers(self) -> None:
        """Numbers in the ledger become seals: the lines stay, and an opt-out still counts if the number comes again."""
        before = self.now - self.clinic.keep_consent_years * YEAR

        def seal(db: Session) -> int:
            found = ageing.old_numbers(db, self.clinic.id, before=before)
            for number in found:
                erasure.seal_number(db, self.clinic.id, number, sealer_of(db))
            erasure.forget_numbers(db, found)
            return len(found)

        try:
            self._until_nothing("numbers", seal)
        except (NoKeyError, OtherKeyError) as why:
            _log.warning("numbers_not_sealed", clinic=self.clinic.key, why=type(why).__name__)

    def _order(self, db: Session, sids: Sequence[str | None]) -> int:
        erasure.order_forgetting(db, ((self.clinic.id, sid) for sid in sids if sid), now=self.now)
        return len(sids)

    def _until_nothing(self, what: str, batch: Callable[[Session], int]) -> None:
        while self.go_on():
            with self.sessions.begin() as db:
                found = batch(db)
            self.done[what] += found
            if not found:
                break

    def _through(self, batch: Callable[[Session, int], list[int]]) -> None:
        after = 0
        while self.go_on():
            with self.sessions.begin() as db:
                found = batch(db, after)
            if not found:
                break
            after = found[-1]


class Retention:
    """The tick: the provider's copies that are to go, each time; what was kept long enough, when it begins and once a day."""

    def __init__(
        self, sessions: sessionmaker[Session], gateway: SmsGateway, clock: Clock, *, go_on: Callable[[], bool]
    ) -> None:
        self._sessions, self._gateway, self._clock, self._go_on = sessions, gateway, clock, go_on
        self._last: datetime | None = None

    def __call__(self) -> int:
        """How many rows were let go of, and copies."""
        now, rows = self._clock(), 0
        if self._last is None or now - self._last >= DAY:
            rows, self._last = let_go(self._sessions, self._clock, go_on=self._go_on), now
        return rows + forget_due(self._sessions, self._gateway, self._clock)


def let_go(sessions: sessionmaker[Session], clock: Clock, *, go_on: Callable[[], bool] = lambda: True) -> int:
    """Let go of everything whose time is over; returns how many texts, replies and numbers that were.

    What was let go of is journalled by clinic, in counts.
    """
    now, total = clock(), 0
    with sessions() as db:
        clinics = list(db.scalars(select(Clinic).order_by(Clinic.id)))
    for clinic in clinics:
        run = _Run(sessions, clinic, now, go_on, Counter())
        for act in (run.texts, run.raw, run.numbers):
            act()
        counts = {what: count for what, count in run.done.items() if count}
        if counts:
            with sessions.begin() as db:
                journal.append(db, "kept_long_enough", at=now, clinic_id=clinic.id, data=counts)
        total += sum(counts.values())
    _nobodys(sessions, now, go_on)
    return total


def _nobodys(sessions: sessionmaker[Session], now: datetime, go_on: Callable[[], bool]) -> None:
    after = 0
    while go_on():
        with sessions.begin() as db:
            found = ageing.raw_receipts(db, None, before=now - timedelta(days=NOBODYS_DAYS), after=after)
        if not found:
            return
        after = found[-1]
