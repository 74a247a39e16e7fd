"""What was agreed and withdrawn for a number, clinic and sender, from the ledger's entries and from what phones said."""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from service.simulator.judge.calm import Calm
from service.simulator.judge.facts import Said
from service.simulator.judge.hearing import ANSWER_CLOCKS, Hearing, Reading
from service.simulator.judge.transcript import Transcript

Standing = Literal["granted", "opted_out", "no_consent", "unclear"]
"""``unclear``: the papers leave open which of two acts counts, so a text is neither owed nor forbidden."""
UNDERSTOOD = timedelta(seconds=10)
"""A text is understood as soon as it is stored; where that breaks off, a tick repeats it within seconds."""
OPTED_OUT_CODES = frozenset({"21610"})
"""The provider knows that the person has withdrawn (facts on the provider's codes)."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One act, known for sure from ``at`` on, and perhaps since ``said``.

    ``clinic`` None: it holds for every clinic behind ``sender``. ``sort`` keeps the order of the log.
    """

    at: datetime
    sort: int
    what: str
    clinic: str | None
    sender: str | None
    by_text: bool
    said: datetime


class Agreed:
    """The ledger of all numbers, as it truly is from the moments on at which the service could know."""

    def __init__(self, told: Transcript, hearing: Hearing, calm: Calm) -> None:
        self._told, self._hearing, self._calm = told, hearing, calm
        self._entries: defaultdict[str, list[Entry]] = defaultdict(list)
        self._count = 0
        for agreement in told.agreements:
            what = "granted" if agreement.granted else "revoked"
            self._enter(agreement.number, agreement.at, what, clinic=agreement.clinic)
        for refusal in told.refusals:
            if refusal.code in OPTED_OUT_CODES:
                self._enter(
                    refusal.number, refusal.at, "revoked", sender=self._sender(refusal.label.patient, refusal.at)
                )
        for said in sorted((s for s in told.said if s.brought is not None), key=lambda s: (s.brought, s.no)):
            self._hear(said)

    def changes(self, number: str) -> Iterator[datetime]:
        """The moments at which something about the number changed."""
        yield from (entry.at for entry in self._entries.get(number, ()))

    def standing(self, number: str | None, *, clinic: str, sender: str, at: datetime) -> Standing:
        """Whether the clinic may text the number from its sender."""
        standing: Standing = "no_consent"
        stopped = perhaps_lifted = False
        for entry in self._decisive(number or "", clinic=clinic, sender=sender, at=at):
            match entry.what:
                case "granted" if stopped and not entry.by_text:
                    # A STOP texted to a sender is lifted by START on that sender alone; what staff record does not lift it.
                    standing = "unclear" if perhaps_lifted else "opted_out"
                case "granted":
                    standing, stopped = "granted", False
                case "unclear" | "perhaps":
                    standing, perhaps_lifted = "unclear", entry.what == "perhaps"
                case _:
                    standing, stopped, perhaps_lifted = "opted_out", stopped or entry.clinic is None, False
        return standing

    def _decisive(self, number: str, *, clinic: str, sender: str, at: datetime) -> Iterator[Entry]:
        """What concerns the clinic or the sender up to then. Once a phone has said more, its older words decide nothing."""
        newest: datetime | None = None
        for entry in self._entries.get(number, ()):
            if entry.at > at:
                return
            if entry.clinic != clinic and (entry.clinic is not None or entry.sender != sender):
                continue
            if entry.what in {"unclear", "perhaps"}:
                newest = entry.said
            if not entry.by_text or newest is None or entry.said >= newest:
                yield entry

    def first_grant(self, number: str | None, *, clinic: str, at: datetime) -> Entry | None:
        """The act by which the clinic first had, or may have had, the number's consent."""
        entries = self._entries.get(number or "", ())
        grants = {"granted", "perhaps"}
        return next((e for e in entries if e.what in grants and e.clinic == clinic and e.at <= at), None)

    def is_overtaken(self, said: Said) -> bool:
        """Whether the phone took it back in a text that reached the service earlier."""
        return self._overtaken(said, self._hearing.reading(said)) != "no"

    def _enter(
        self,
        number: str,
        at: datetime,
        what: str,
        *,
        clinic: str | None = None,
        sender: str | None = None,
        said: datetime | None = None,
    ) -> None:
        self._count += 1
        by_text = said is not None
        insort(self._entries[number], Entry(at, self._count, what, clinic, sender, by_text, said or at))

    def _sender(self, patient: str | None, at: datetime) -> str | None:
        history = self._told.patients.get(patient or "")
        row = history.at(at) if history else None
        clinic = self._told.clinics[row.clinic].at(at) if row else None
        return clinic.sender if clinic else None

    def _hear(self, said: Said) -> None:
        reading = self._hearing.reading(said)
        if said.brought is None or reading.kind not in {"stop", "start", "consent", "perhaps_consent"}:
            return
        order = self._overtaken(said, reading)
        if order == "overtaken":
            return
        clinics = reading.clinics if reading.kind == "consent" else self._starting(said)
        # Stored raw by a web server that died over it, a text may be understood before anybody knows that it was brought.
        concerned = self._behind(said) if reading.kind == "stop" else clinics
        understood = self._calm.after(said.brought, UNDERSTOOD)
        at_first, what = ("unclear", "revoked") if reading.kind == "stop" else ("perhaps", "granted")
        is_open = reading.kind == "perhaps_consent" or (what == "granted" and self._contradicted(said, understood))
        if order == "in_doubt" or is_open:
            what = at_first
        for clinic in concerned:
            self._enter(said.number, said.at, at_first, clinic=clinic, said=said.at)
            if what != "revoked":
                self._enter(said.number, understood, what, clinic=clinic, sender=said.to, said=said.at)
        if what == "revoked":
            self._enter(said.number, understood, "revoked", sender=said.to, said=said.at)

    def _contradicted(self, said: Said, understood: datetime) -> bool:
        """Whether staff or the provider took it back at a moment at which it is open whether it had been understood."""
        withdrawn = (e for e in self._entries.get(said.number, ()) if not e.by_text and e.what == "revoked")
        return any(said.at <= entry.at <= understood for entry in withdrawn)

    def _overtaken(self, said: Said, reading: Reading) -> str:
        """Whether the phone has said the opposite since, and that reached the service earlier."""
        for other in self._hearing.of_number(said.number):
            if other.to != said.to or other.brought is None or other.no == said.no:
                continue
            kind = self._hearing.reading(other).kind
            is_opposite = (kind == "stop") != (reading.kind == "stop") and kind in {"stop", "start", "consent"}
            if is_opposite and other.brought <= (said.brought or other.brought) and other.at > said.at - ANSWER_CLOCKS:
                return "overtaken" if other.at > said.at + ANSWER_CLOCKS else "in_doubt"
        return "no"

    def _behind(self, said: Said) -> list[str]:
        """The clinics that text from the sender which the phone texted."""
        at = said.brought or said.at
        facts = ((key, history.at(at)) for key, history in self._told.clinics.items())
        return [key for key, clinic in facts if clinic is not None and clinic.sender == said.to]

    def _starting(self, said: Said) -> list[str]:
        """Back to what was agreed: the clinics that had the number's consent, or else those that know the number."""
        behind, at = self._behind(said), said.brought or said.at
        had = [clinic for clinic in behind if self.first_grant(said.number, clinic=clinic, at=at)]
        known = [clinic for clinic in behind if self._knows(clinic, said.number, at)]
        return had or known

    def _knows(self, clinic: str, number: str, at: datetime) -> bool:
        spoken = any(entry.clinic == clinic for entry in self._entries[number])
        rows = (history.at(at) for history in self._told.patients.values())
        return spoken or any(row is not None and row.clinic == clinic and row.number == number for row in rows)


def granted_by_text(entry: Entry | None) -> bool:
    """Whether the consent came by text, so that the welcome is a direct reply."""
    return entry is not None and entry.by_text
