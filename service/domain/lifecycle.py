"""The states of a message, who brings it in and takes it out, and the one table of moves between them."""

from enum import StrEnum
from typing import assert_never

from service.domain.sms import Accepted, Blame, Outcome, ReceiptState, Refused, Unknown


class State(StrEnum):
    """Where a message stands. Held, due and overdue are predicates on ``planned``, not states."""

    PLANNED = "planned"
    """In: the planner, a reply, staff; back: see ``MOVES``. Out: a claim, a withdrawal, its expiry."""
    SENDING = "sending"
    """In: a claim. Out: the settle of that claim, the rescue of a stale one, or a receipt that overtakes both."""
    SENT = "sent"
    """In: the provider gave an id. Out: a receipt."""
    DELIVERED = "delivered"
    """In: a receipt. Final."""
    UNDELIVERED = "undelivered"
    """In: a receipt of the carrier's refusal. Out: only to ``planned``, for a temporary error while still useful."""
    FAILED = "failed"
    """In: a refusal, or a receipt of the provider's own failure. Out: as for ``undelivered``."""
    CANCELLED = "cancelled"
    """In: the plan, the patient, staff or a last look, with the reason. Out: only the plan, if never attempted."""
    MISSED = "missed"
    """In: its useful time passed. Out: only the plan, with a later time, if never attempted."""
    UNCONFIRMED = "unconfirmed"
    """In: an unknown outcome or a stale claim. Out: a receipt that names it, proof that it was not sent, or a person."""


MOVES: dict[State, frozenset[State]] = {
    # Delivered: a late receipt of an earlier attempt, which makes the planned further one needless.
    State.PLANNED: frozenset({State.SENDING, State.CANCELLED, State.MISSED, State.DELIVERED}),
    State.SENDING: frozenset(State) - {State.SENDING},
    State.SENT: frozenset({State.DELIVERED, State.UNDELIVERED, State.FAILED}),
    State.DELIVERED: frozenset(),
    State.UNDELIVERED: frozenset({State.PLANNED}),
    State.FAILED: frozenset({State.PLANNED}),
    State.CANCELLED: frozenset({State.PLANNED}),
    State.MISSED: frozenset({State.PLANNED}),
    State.UNCONFIRMED: frozenset(
        {State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED, State.PLANNED, State.MISSED}
    ),
}

OUT_OF_HOUSE = frozenset({State.SENDING, State.SENT, State.DELIVERED, State.UNDELIVERED, State.UNCONFIRMED})
"""States in which the patient may have the text."""


def advance(state: State, fact: Outcome | ReceiptState) -> State:
    """The state after a fact about the text. A fact that would move it backwards leaves it where it is."""
    reached = _after_receipt(fact) if isinstance(fact, ReceiptState) else _after_attempt(fact)
    return reached if reached is not None and reached in MOVES[state] else state


def _after_attempt(outcome: Outcome) -> State:
    match outcome:
        case Accepted():
            return State.SENT
        case Unknown():
            return State.UNCONFIRMED
        case Refused(blame=Blame.RETRY | Blame.SENDER | Blame.ACCOUNT):
            return State.PLANNED
        case Refused():
            return State.FAILED
        case _:
            assert_never(outcome)


def _after_receipt(receipt: ReceiptState) -> State | None:
    match receipt:
        case ReceiptState.ACCEPTED | ReceiptState.QUEUED | ReceiptState.SENDING | ReceiptState.SENT:
            return State.SENT
        case ReceiptState.DELIVERED:
            return State.DELIVERED
        case ReceiptState.UNDELIVERED:
            return State.UNDELIVERED
        case ReceiptState.FAILED | ReceiptState.CANCELLED:
            return State.FAILED
        case ReceiptState.OTHER:
            return None
        case _:
            assert_never(receipt)
