"""Whether a patient may have got one text twice: no second handing over without proof that the first had failed."""

from itertools import pairwise

from service.flows.verification.dossiers import Dossier
from service.flows.verification.findings import KEPT, NOT_ASKED, Judgement, moment
from service.store.evidence import Attempt, Entry

FAILURES = frozenset({"undelivered", "failed", "cancelled"})
"""Reports by which a text did not arrive."""


def sent_twice(of: Dossier) -> Judgement:
    """Judge all handings over of one text together."""
    if not of.attempts:
        return NOT_ASKED
    for first, second in pairwise(of.left):
        if not _had_failed(of, first, second):
            return (
                f"It was handed over again on {moment(second.started_at)}, although the provider had taken it, or may have, "
                f"on {moment(first.started_at)}, and nothing showed by then that it had not arrived."
            )
    for entry in of.tells("receipt"):
        if entry.data.get("attempt", 0) is None and of.attempts[0].started_at < entry.at:
            return f"On {moment(entry.at)} the provider reported on it under an id that none of our requests had been given."
    return KEPT


def _had_failed(of: Dossier, first: Attempt, second: Attempt) -> bool:
    """Whether that was known before the second handing over."""
    about_first = (entry for entry in _before(of, second) if entry.data.get("attempt") == first.n)
    return any(_shows_failure(entry, first) for entry in about_first)


def _shows_failure(entry: Entry, of: Attempt) -> bool:
    """A report that it had not arrived or, as far as anybody knows today, proof that it had not left."""
    if entry.kind == "not_sent":
        return of.outcome != "accepted"
    return entry.kind == "receipt" and entry.data.get("state") in FAILURES


def _before(of: Dossier, attempt: Attempt) -> list[Entry]:
    """What was noted before a handing over: by the order of the entries where one is about it, else by their time."""
    own = (n for n, entry in enumerate(of.story) if entry.data.get("attempt") == attempt.n)
    told = of.story[: next(own, 0)]
    return [*told, *(entry for entry in of.story if entry.at <= attempt.started_at)]
