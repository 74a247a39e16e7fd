"""Whether the words that left are those of a version that the clinic had put into use."""

import re
from functools import lru_cache

from service.domain.segments import prepare
from service.domain.templates import PLACEHOLDER
from service.flows.policy import Approval
from service.flows.verification.dossiers import Dossier
from service.flows.verification.findings import KEPT, NOT_ASKED, Judgement, moment
from service.store.evidence import Attempt
from service.store.evidence_content import Wording

FROM_TEMPLATES = ("plan", "reply")
MAY_HAVE_CHANGED = frozenset({"planned", "cancelled", "missed"})
"""States in which the row may name another text by now than the one that was tried."""
HOLE = "XqZ0ZqX"
"""Stands for a value while a text is spelled for the network: letters that stay as they are."""


def unapproved_text(of: Dossier, attempt: Attempt, *, approval: Approval) -> Judgement:
    """The last handing over of every text that is made from a template: the row remembers the version of no other."""
    if of.text.kind not in FROM_TEMPLATES or not of.is_last(attempt):
        return NOT_ASKED
    wrong = _wrong_version(of, attempt)
    if wrong is None and approval is Approval.REQUIRED and of.wording is not None:
        wrong = _lacking(of.wording, attempt)
    return KEPT if wrong is None else f"It left on {moment(attempt.started_at)}, and {wrong}."


def _wrong_version(of: Dossier, attempt: Attempt) -> str | None:
    version, other = of.wording, of.text.state not in MAY_HAVE_CHANGED
    if version is None:
        return "no version of a text is pinned to it"
    if version.clinic_id != attempt.clinic_id:
        return "the version that is pinned to it is another clinic's"
    if other and version.key != of.text.template:
        return "the version that is pinned to it is of another text"
    if version.state == "draft":
        return "the version that is pinned to it is a draft that was never in use"
    if version.created_at > attempt.started_at:
        return f"the version that is pinned to it was written only on {moment(version.created_at)}"
    # Words that were erased, or kept long enough, are judged by nobody; an empty text never leaves the house.
    if attempt.text and not could_be(attempt.text, version.text):
        return "its words can not come from the version that is pinned to it"
    return None


def _lacking(version: Wording, attempt: Attempt) -> str | None:
    """Whether a name and a date stood on the version when it left."""
    if not (version.approved_by or "").strip() or version.approved_at is None:
        return "nobody has approved the version that is pinned to it"
    if version.approved_at > attempt.started_at:
        return f"the version that is pinned to it was approved only on {moment(version.approved_at)}"
    return None


def could_be(words: str, template: str) -> bool:
    """Whether the template, filled with whatever values and spelled either way for the network, can have become these words."""
    return any(shape.fullmatch(words) for shape in _shapes(template))


@lru_cache(maxsize=10_000)
def _shapes(template: str) -> tuple[re.Pattern[str], ...]:
    holed = PLACEHOLDER.sub(HOLE, template)
    spelled = {prepare(holed, "transliterate"), prepare(holed, "native")}
    return tuple(re.compile(".+?".join(map(re.escape, each.split(HOLE))), re.DOTALL) for each in spelled)
