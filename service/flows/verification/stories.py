"""Whether the state of each message follows from what happened to it: by its handings over, its story and its reason."""

from collections.abc import Callable, Mapping

from service.domain.lifecycle import State
from service.flows.verification.dossiers import Dossier
from service.flows.verification.findings import KEPT, Judgement


def state_without_story(of: Dossier) -> Judgement:
    """Every message. A planned row that was never handed over is its own story."""
    return STORIES[State(of.text.state)](of) or KEPT


def _planned(of: Dossier) -> str | None:
    """Each handing over that may have left needs an entry of its own that brought the text back."""
    if of.text.attempts > len(of.attempts):
        return "It says that it was handed over, and there is no record of that."
    left = {attempt.n for attempt in of.left}
    back = [entry for entry in of.tells("retry", "not_sent") if entry.data.get("attempt") in {None, *left}]
    return None if len(back) >= len(left) else "It has left, or may have, and waits to be sent again; nothing says why."


def _sending(of: Dossier) -> str | None:
    return None if of.attempts else "It is marked as leaving, and there is no record of a handing over."


def _sent(of: Dossier) -> str | None:
    if _reported(of, "delivered"):
        return "It is marked as sent, and the provider has reported that it was delivered."
    told = bool(of.tells("sent", "receipt"))
    return _left(of) if told else "It is marked as sent, and the journal has no entry that it was taken."


def _delivered(of: Dossier) -> str | None:
    return (
        _left(of) if _reported(of, "delivered") else "It is marked as delivered, and the journal has no report of that."
    )


def _undelivered(of: Dossier) -> str | None:
    told = _reported(of, "undelivered")
    return _left(of) if told else "It is marked as undelivered, and the journal has no report of that."


def _failed(of: Dossier) -> str | None:
    told = _reported(of, "failed", "cancelled") or of.tells("refused")
    return None if told else "It is marked as failed, and the journal has neither a refusal nor a report."


def _unconfirmed(of: Dossier) -> str | None:
    told = bool(of.tells("unconfirmed"))
    return _left(of) if told else "It is marked as unconfirmed, and the journal has no entry about a doubt."


def _ended(of: Dossier) -> str | None:
    """A row that was ended when it was made has a reason and no time of its own; any other has an entry, too."""
    if not (of.text.reason or "").strip():
        return f"It is marked as {of.text.state}, and there is no reason."
    told = of.text.due_at is None or of.tells("withdrawn", "skipped", "missed")
    return None if told else f"It is marked as {of.text.state}, and the journal has no entry about it."


STORIES: Mapping[State, Callable[[Dossier], str | None]] = {
    State.PLANNED: _planned,
    State.SENDING: _sending,
    State.SENT: _sent,
    State.DELIVERED: _delivered,
    State.UNDELIVERED: _undelivered,
    State.FAILED: _failed,
    State.CANCELLED: _ended,
    State.MISSED: _ended,
    State.UNCONFIRMED: _unconfirmed,
}


def _left(of: Dossier) -> str | None:
    """A record of a handing over, or a report on one from before the database was set back."""
    known = of.left or any(entry.data.get("attempt", 0) is None for entry in of.tells("receipt"))
    return None if known else f"It is marked as {of.text.state}, and there is no record of a handing over."


def _reported(of: Dossier, *states: str) -> bool:
    return any(entry.data.get("state") in states for entry in of.tells("receipt"))
