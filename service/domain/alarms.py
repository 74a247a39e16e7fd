"""What the service watches itself for: the kinds of alarm, how long is too long, and the words for staff."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

SILENT_FOR = timedelta(minutes=10)
"""So long a text may be due, with nothing leaving from its sender, before somebody is told."""
LATE_FOR, GROWN_BY = timedelta(minutes=15), timedelta(minutes=10)
"""Texts leave, but the oldest has waited so long, and so much longer than when that was first seen."""
AFTERCARE_WITHIN, AFTERCARE_UNTIL = timedelta(hours=2), timedelta(hours=24)
"""When aftercare must have left or be explained, and when it is of no use any more."""
A_MARK_LASTS = timedelta(minutes=5)
"""A patient of whom something has changed waits for planning; after this long, planning does not come."""
NO_RECEIPT_FOR, RECEIPTS_OF = timedelta(minutes=30), timedelta(hours=24)
ENOUGH_TEXTS = 5
"""Some networks never report on a text; that none of several is reported on is no chance."""
WORKER_SILENT, WORKER_GONE = timedelta(minutes=3), timedelta(hours=1)
"""After the first somebody looks; after the second the others have long done the work, and it is news no more."""


class Alarm(StrEnum):
    """What may be amiss. The words are stable: tasks, journal and metrics use them."""

    NOTHING_SENT = "nothing_sent"
    OLDEST_DUE_GROWS = "oldest_due_grows"
    LATE_AFTERCARE = "late_aftercare"
    RECEIPTS_STOPPED = "receipts_stopped"
    WORKER_SILENT = "worker_silent"


LEVELS = {
    Alarm.NOTHING_SENT: "red",
    Alarm.LATE_AFTERCARE: "red",
    Alarm.OLDEST_DUE_GROWS: "amber_urgent",
    Alarm.RECEIPTS_STOPPED: "amber",
    Alarm.WORKER_SILENT: "amber",
}

NEXT_ACTIONS = {
    Alarm.NOTHING_SENT: "Ask whoever runs the service to read `aftercare status` and `aftercare doctor`. Until texts leave "
    "again, phone the patients whose texts can not wait: `aftercare calls` lists whom a text did not reach.",
    Alarm.LATE_AFTERCARE: "Phone these patients and tell them the aftercare rules. Ask whoever runs the service why nothing "
    "was sent: `aftercare message list --session ID` shows what became of the texts.",
    Alarm.OLDEST_DUE_GROWS: "Ask whoever runs the service whether the sender is fast enough for what is planned: "
    "`aftercare status` shows how much is due.",
    Alarm.RECEIPTS_STOPPED: "Ask whoever runs the service whether the provider can reach its public address: "
    "`aftercare doctor` tries it. Texts still leave; only whether they arrive is not known.",
    Alarm.WORKER_SILENT: "Ask whoever runs the service to read that worker's log and to start it again. The others do its "
    "work meanwhile; if there is no other, nothing is sent.",
}


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that is amiss now. ``about`` tells it from others of its kind; ``clinic_id`` None: it is nobody's alone.

    Staff are told once it has gone on for ``lasting``, and once the ``seconds`` that texts have waited are ``growing`` more
    than when it was first seen.
    """

    kind: Alarm
    about: str
    reason: str
    clinic_id: int | None = None
    seconds: int = 0
    lasting: timedelta = timedelta()
    growing: timedelta = timedelta()

    @property
    def identity(self) -> str:
        """The same as long as it goes on."""
        return f"{self.kind}:{self.about}"

    def is_told(self, *, since: datetime, seconds_then: int, now: datetime) -> bool:
        """Whether staff are to hear of it, ``since`` when it was first seen."""
        return now - since >= self.lasting and self.seconds - seconds_then >= self.growing.total_seconds()


def waiting_too_long(clinic_id: int, *, oldest: datetime, last_left: datetime | None, now: datetime) -> Concern | None:
    """What it means that a clinic's oldest due text has waited since ``oldest``, when its sender last sent at ``last_left``."""
    waited = now - oldest
    since = f"The oldest of this clinic's texts has been due since {oldest:%Y-%m-%d %H:%M} UTC"
    seconds, about = int(waited.total_seconds()), f"clinic {clinic_id}"
    if waited >= SILENT_FOR and (last_left is None or now - last_left >= SILENT_FOR):
        reason = f"{since}, nothing holds it, and nothing leaves."
        return Concern(Alarm.NOTHING_SENT, about, reason, clinic_id, seconds)
    if waited >= LATE_FOR:
        reason = f"{since}. Texts leave, but more slowly than they become due."
        return Concern(Alarm.OLDEST_DUE_GROWS, about, reason, clinic_id, seconds, growing=GROWN_BY)
    return None


def without_aftercare(clinic_id: int, session_ids: list[int]) -> Concern:
    """Sessions of a clinic that took place two hours ago, or longer, and whose aftercare neither left nor waits for a reason."""
    shown = ", ".join(str(session_id) for session_id in session_ids[:10])
    more = f" and {len(session_ids) - 10} more" if len(session_ids) > 10 else ""
    reason = f"No aftercare was sent, and nothing says why, two hours after these sessions took place: {shown}{more}."
    return Concern(Alarm.LATE_AFTERCARE, f"clinic {clinic_id}", reason, clinic_id, lasting=A_MARK_LASTS)


def no_receipts(clinic_id: int, *, texts: int, last: datetime | None) -> Concern | None:
    """Texts of a clinic that nobody has reported on, the last report on any text being of ``last``."""
    if texts < ENOUGH_TEXTS:
        return None
    since = f"since {last:%Y-%m-%d %H:%M} UTC" if last else "so far"
    reason = (
        f"The provider has reported on no text {since}; {texts} texts of this clinic wait to hear whether they arrived."
    )
    return Concern(Alarm.RECEIPTS_STOPPED, f"clinic {clinic_id}", reason, clinic_id)


def silent_worker(worker: str, last: datetime) -> Concern:
    """A worker that neither runs nor said that it would stop."""
    reason = f"The worker {worker} was last seen on {last:%Y-%m-%d %H:%M} UTC and has not said that it would stop."
    return Concern(Alarm.WORKER_SILENT, f"worker {worker}"[:100], reason)
