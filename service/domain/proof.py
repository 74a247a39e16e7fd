"""What the provider's list proves about texts of which nobody knows whether they left. Pure.

Found in the list is proof that a text left. Not found is proof of the contrary only where the list is complete, shows words
and is known to be up to date; everything else proves nothing, and a person decides.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.sms import ListedSms

EARLIER = timedelta(seconds=60)
"""A text may be dated so long before our attempt began: clocks differ, and lists show whole seconds."""
LATER = timedelta(minutes=5)
"""And so long after: a request begins within 20 s of the claim and ends 10 s later; the rest is for slow providers and clocks."""
GIVE_UP = timedelta(hours=72)
"""The provider is asked about no doubt that is older."""
LONGEST = timedelta(minutes=15)
"""Between two questions about one doubt: all are settled at most so long after a list that was down has come back."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """An attempt that the provider may have taken. ``since``: when the doubt began; None while nobody may settle it.

    That is so while its request is still under way, or where a person has decided already that it left.
    """

    message_id: int
    body: str
    started_at: datetime
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Attach:
    """It left: this is its text. ``sent_twice`` if the list shows more texts of these words than we know of."""

    listed: ListedSms
    sent_twice: bool = False


@dataclass(frozen=True, slots=True)
class NotSent:
    """It did not leave."""


@dataclass(frozen=True, slots=True)
class TooEarly:
    """A callback or the list may still tell."""


@dataclass(frozen=True, slots=True)
class NoProof:
    """Nobody can tell; a person decides."""


Verdict = Attach | NotSent | TooEarly | NoProof


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the provider lists to one number, since hours before the oldest doubt, and what is known of it.

    ``ours``: ids whose attempts are known. ``trusted``: whether it is shown that the list hides nothing at this moment.
    """

    listed: Sequence[ListedSms]
    ours: Collection[str]
    trusted: bool


def judge(doubts: Sequence[Doubt], evidence: Evidence, *, now: datetime, wait: timedelta) -> Mapping[int, Verdict]:
    """A verdict by message on each doubt that has a ``since``. All open doubts about texts to the number have to be given.

    Texts of the same words are told apart by time where they lie far enough apart. Else only their numbers count: of as many
    as are listed the oldest left, and the others did not. Where the list may hide one, none of them is sent again.
    """
    unknown = [sms for sms in evidence.listed if sms.provider_sid not in evidence.ours]
    groups = [(group, _texts_of(group, unknown)) for group in _groups(doubts)]
    explained = {sms.provider_sid for _, texts in groups for sms in texts}
    hides_nothing = (
        evidence.trusted
        and all(sms.body is not None for sms in evidence.listed)
        and all(sms.provider_sid in explained for sms in unknown)
    )
    found: dict[int, Verdict] = {}
    for group, texts in groups:
        found |= _judge_group(group, texts, hides_nothing=hides_nothing, ripe=now - 2 * wait)
    return found


def _judge_group(
    group: Sequence[Doubt], texts: Sequence[ListedSms], *, hides_nothing: bool, ripe: datetime
) -> Iterable[tuple[int, Verdict]]:
    settleable = [doubt for doubt in group if doubt.since is not None]
    found = zip(group, texts, strict=False)
    attached = {doubt.message_id: Attach(sms, len(texts) > len(group)) for doubt, sms in found}
    if len(settleable) < len(group):
        # One that is just leaving, or that a person has decided about, may be the one that is listed.
        attached, hides_nothing = {}, hides_nothing and not texts
    if len(attached) == len(group):
        return attached.items()
    if attached and hides_nothing:
        # On the phone they are the same: what counts is how many more of them it is to get.
        all_ripe = all(doubt.since is not None and doubt.since <= ripe for doubt in group)
        return [(d.message_id, attached.get(d.message_id, NotSent()) if all_ripe else TooEarly()) for d in group]
    proven: Verdict = NotSent() if hides_nothing else NoProof()
    return [(d.message_id, proven if d.since is not None and d.since <= ripe else TooEarly()) for d in settleable]


def _groups(doubts: Iterable[Doubt]) -> Iterator[list[Doubt]]:
    """Doubts that the list can not tell apart: of the same words, and so close in time that one text may belong to either."""
    by_words: dict[str, list[list[Doubt]]] = {}
    for doubt in sorted(doubts, key=lambda doubt: (doubt.started_at, doubt.message_id)):
        groups = by_words.setdefault(_words(doubt.body), [])
        if not groups or doubt.started_at - groups[-1][-1].started_at > EARLIER + LATER:
            groups.append([])
        groups[-1].append(doubt)
    for groups in by_words.values():
        yield from groups


def _texts_of(group: Sequence[Doubt], unknown: Iterable[ListedSms]) -> list[ListedSms]:
    """The texts that may be those of a group, the oldest first."""
    words, first, last = _words(group[0].body), group[0].started_at - EARLIER, group[-1].started_at + LATER
    texts = [sms for sms in unknown if first <= sms.created_at <= last and sms.body and _words(sms.body) == words]
    return sorted(texts, key=lambda sms: (sms.created_at, sms.provider_sid))


def _words(body: str) -> str:
    """A text as it is compared: what happens to blanks and line ends on the way says nothing."""
    return " ".join(body.split())


def shows(listed: Iterable[ListedSms], provider_sid: str, *, body: str) -> bool:
    """Whether a list shows a text that is known to have left, with its words."""
    return any(sms.provider_sid == provider_sid and sms.body and _words(sms.body) == _words(body) for sms in listed)


def ask_next(since: datetime, *, now: datetime, wait: timedelta) -> datetime:
    """When the provider is asked again about a doubt that it is asked about now: at twice the wait, then ever more rarely."""
    age = now - since
    return since + 2 * wait if age < 2 * wait else now + min(age / 2, LONGEST)
