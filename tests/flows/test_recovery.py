"""Texts that may have left: found in the provider's list, proven not to have left, or put before a person. Never guessed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.errors import AftercareError
from service.domain.proof import EARLIER, GIVE_UP
from service.domain.sms import LEAVE_WITHIN, Accepted, GatewayClosedError, ListedSms, OutgoingSms, Sender
from service.flows import recovery
from service.flows.delivery import apply_receipt
from service.flows.doubts import attach, decide_sent
from service.flows.receipts import receive_receipt
from service.flows.recovery import STALE, recover, rescue_stale_claims
from service.gateways.simulated import SimulatedGateway, Span
from service.gateways.twilio import TwilioConfig, TwilioGateway
from service.store import inbox
from service.store.tables import Message, Patient, RawReceipt, SendAttempt, Task
from tests.fakes.apps import PUBLIC
from tests.fakes.scripted_gateway import said
from tests.fakes.twilio_server import ACCOUNT_SID, KEY_SECRET, KEY_SID, Breakage, FakeTwilio
from tests.flows.clinic_life import SENDER, ClinicLife
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
MOMENT = timedelta(microseconds=1)
WAIT = timedelta(seconds=90)
TWICE = 2 * WAIT


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    return ClinicLife(sessions)


# --- Claims that nobody will settle -------------------------------------------------------------------------------


def claimed(life: ClinicLife, ago: timedelta, **over: object) -> Message:
    values = {"state": "sending", "claim_token": "theirs", "claimed_at": NOW - ago, "attempts": 1}
    text = life.message(life.patient(), **values | over)
    with life.sessions.begin() as db:
        factories.attempt(db, text, outcome=None, started_at=NOW - ago)
    return text


def attempt_of(life: ClinicLife, text: Message, n: int = 1) -> SendAttempt:
    with life.sessions() as db:
        return db.scalars(select(SendAttempt).where(SendAttempt.message_id == text.id, SendAttempt.n == n)).one()


@pytest.mark.parametrize(
    ("ago", "rescued"),
    [(timedelta(0), 0), (STALE, 0), (STALE + MOMENT, 1), (timedelta(days=3), 1)],
    ids=["just claimed", "claimed as long ago as sending may take", "a moment longer", "before the weekend"],
)
def test_a_claim_is_taken_away_when_no_worker_can_still_hold_it(life: ClinicLife, ago: timedelta, rescued: int) -> None:
    text = claimed(life, ago)
    assert rescue_stale_claims(life.sessions, life.clock) == rescued
    assert life.fresh(text).state == ("unconfirmed" if rescued else "sending")


def test_no_request_is_under_way_when_a_claim_is_taken_away() -> None:
    """It begins within its time to leave, and the gateway ends it ten seconds later."""
    assert LEAVE_WITHIN + timedelta(seconds=10) < STALE


def test_the_doubt_about_a_rescued_text_begins_with_the_rescue(life: ClinicLife) -> None:
    text = claimed(life, STALE * 2, urgency="care", priority=1)
    rescue_stale_claims(life.sessions, life.clock)
    row, attempt = life.fresh(text), attempt_of(life, text)
    assert (row.reason, row.sent_at, row.claim_token, row.attempts) == ("worker_lost", NOW, None, 1)
    assert (attempt.outcome, attempt.finished_at) == ("unknown", NOW)
    assert life.story(row) == [("unconfirmed", "worker_lost")]
    assert life.tasks() == [], "nobody is troubled while it can still be found out"


def test_what_was_rescued_is_not_rescued_again(life: ClinicLife) -> None:
    claimed(life, STALE * 2)
    assert [rescue_stale_claims(life.sessions, life.clock) for _ in range(2)] == [1, 0]


def test_only_claims_are_rescued(life: ClinicLife) -> None:
    text = claimed(life, STALE * 2)
    for state in ("planned", "sent", "delivered", "undelivered", "failed", "cancelled", "missed", "unconfirmed"):
        with life.sessions.begin() as db:
            db.execute(update(Message).values(state=state))
        assert rescue_stale_claims(life.sessions, life.clock) == 0
        assert life.fresh(text).state == state


def test_many_are_rescued_batch_by_batch(life: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "BATCH", 2)
    for _ in range(5):
        claimed(life, STALE * 2)
    assert rescue_stale_claims(life.sessions, life.clock) == 5
    assert {m.state for m in life.messages()} == {"unconfirmed"}


# --- Doubts -------------------------------------------------------------------------------------------------------


class Asked(SimulatedGateway):
    """Notes who is asked about, and lets things happen while a list is read."""

    def __init__(self, life: ClinicLife) -> None:
        super().__init__(life.network, life.clock)
        self.asked: list[str | None] = []
        self.meanwhile: list[Callable[[], object]] = []

    def texts_to(self, number: str | None, since: datetime) -> list[ListedSms]:
        self.asked.append(number)
        listed = super().texts_to(number, since)
        for happen in self.meanwhile:
            happen()
        return listed


@dataclass
class Uncertain:
    """An installation in which answers of the provider got lost."""

    life: ClinicLife
    gateway: Asked = field(init=False)

    def __post_init__(self) -> None:
        self.gateway = Asked(self.life)

    def lost(self, *, taken: bool, of: Patient | None = None, body: str = "Please call us.", **over: Any) -> Message:
        """A text that was handed over now, and whose answer got lost."""
        return self._handed_over(of or self.life.patient(), body, taken=taken, known=False, **over)

    def known(self, *, taken: bool = True, body: str = "See you.", **over: Any) -> Message:
        """A text that certainly left now; ``taken`` False: the provider has forgotten it."""
        return self._handed_over(self.life.patient(), body, taken=taken, known=True, **over)

    def _handed_over(self, patient: Patient, body: str, *, taken: bool, known: bool, **over: Any) -> Message:
        values: dict[str, Any] = {
            "state": "sent" if known else "unconfirmed",
            "text": body,
            "to_number": patient.phone,
            "attempts": 1,
            "sent_at": self.life.now,
            "provider_sid": None,
        }
        message = self.life.message(patient, **values | over)
        sid = self._take(message) if taken else f"SM{message.id:032}"
        with self.life.sessions.begin() as db:
            if known:
                db.execute(update(Message).where(Message.id == message.id).values(provider_sid=sid))
            factories.attempt(
                db,
                message,
                text=body,
                number=message.to_number,
                started_at=self.life.now,
                outcome="accepted" if known else "unknown",
                provider_sid=sid if known else None,
            )
        return message

    def _take(self, message: Message) -> str:
        assert message.to_number
        assert message.text
        sms = OutgoingSms(
            message.id, 1, message.to_number, message.text, Sender(number=SENDER), 3600, self.life.now + LEAVE_WITHIN
        )
        outcome = self.life.network.submit(sms, self.life.now)
        assert isinstance(outcome, Accepted)
        return outcome.provider_sid

    def sid_of(self, message: Message) -> str:
        """What the provider calls it."""
        return next(sid for sid, taken in self.life.network.accepted.items() if taken.text.message_id == message.id)

    def behave(self, **how: Any) -> None:
        self.life.network.config = replace(self.life.network.config, **how)

    def recover(self, age: timedelta | None = None, wait: timedelta = WAIT) -> int:
        """Run once, so long after the beginning."""
        if age is not None:
            self.life.now = NOW + age
        return recover(self.life.sessions, self.gateway, self.life.clock, wait=wait)

    def states(self) -> list[str]:
        return [message.state for message in self.life.messages()]


@pytest.fixture
def uncertain(life: ClinicLife) -> Uncertain:
    return Uncertain(life)


@pytest.mark.parametrize("urgency", ["care", "routine"])
@pytest.mark.parametrize(
    ("taken", "age", "network", "state", "told"),
    [
        pytest.param(True, WAIT - MOMENT, {}, "unconfirmed", False, id="a callback is still waited for"),
        pytest.param(True, WAIT, {}, "sent", False, id="found in the list"),
        pytest.param(False, WAIT, {}, "unconfirmed", False, id="not in the list, which may lag"),
        pytest.param(False, TWICE - MOMENT, {}, "unconfirmed", False, id="not yet proven"),
        pytest.param(False, TWICE, {}, "planned", False, id="proven not sent"),
        pytest.param(True, TWICE, {}, "sent", False, id="found late"),
        pytest.param(True, TWICE, {"redacted": True}, "unconfirmed", True, id="words are hidden: it left"),
        pytest.param(False, TWICE, {"redacted": True}, "unconfirmed", True, id="words are hidden: it did not leave"),
        pytest.param(True, TWICE, {"list_lag": WAIT}, "sent", False, id="the list lags, and shows it in time"),
        pytest.param(True, TWICE, {"list_lag": TWICE + MOMENT}, "unconfirmed", True, id="the list lags too much"),
        pytest.param(
            False, TWICE, {"list_lag": TWICE + MOMENT}, "unconfirmed", True, id="nobody knows how much it lags"
        ),
        pytest.param(False, GIVE_UP - MOMENT, {}, "planned", False, id="we were down for days"),
        pytest.param(False, GIVE_UP, {}, "unconfirmed", True, id="too long ago to be asked about"),
    ],
)
def test_what_becomes_of_a_text_in_doubt(
    uncertain: Uncertain, urgency: str, age: timedelta, network: dict[str, Any], state: str, *, taken: bool, told: bool
) -> None:
    """Other texts leave all the time, so that the list can be tried on one that is known."""
    uncertain.known(sent_at=NOW)
    text = uncertain.lost(taken=taken, urgency=urgency, priority=1 if urgency == "care" else 2)
    uncertain.behave(**network)
    if age > timedelta(hours=1):
        uncertain.life.now = NOW + age - WAIT
        uncertain.known()
    uncertain.recover(age)
    assert uncertain.life.fresh(text).state == state
    assert [task.level for task in uncertain.life.tasks("unconfirmed")] == [
        "red" if urgency == "care" else "routine"
    ] * told


def test_a_text_found_in_the_list_is_one_that_left(uncertain: Uncertain) -> None:
    text = uncertain.lost(taken=True)
    assert uncertain.recover(WAIT) == 1
    row, attempt = uncertain.life.fresh(text), attempt_of(uncertain.life, text)
    (sid,) = uncertain.life.network.accepted
    assert (row.state, row.provider_sid, row.sent_at, row.reason) == ("sent", sid, NOW, None)
    assert (attempt.outcome, attempt.provider_sid) == ("accepted", sid)
    assert uncertain.life.story(text) == [("sent", "found_in_list")]
    assert uncertain.recover(TWICE) == 0


def test_a_text_proven_not_sent_goes_out_once_in_the_normal_way(uncertain: Uncertain) -> None:
    text = uncertain.lost(taken=False)
    uncertain.life.plan()
    assert uncertain.recover(TWICE) == 1
    row, attempt = uncertain.life.fresh(text), attempt_of(uncertain.life, text)
    assert (row.state, row.sent_at, row.attempt_at, row.claim_token) == ("planned", None, NOW + TWICE, None)
    assert (attempt.outcome, attempt.code) == ("refused", "not_in_list")
    assert uncertain.life.story(text) == [("not_sent", "not_in_list")]
    with uncertain.life.sessions() as db:
        assert db.get_one(Patient, row.patient_id).marked, "planning looks at it before it leaves"
    uncertain.life.tick()
    assert uncertain.life.fresh(text).state == "sent"
    assert len(uncertain.life.network.accepted) == 1


def test_a_text_that_is_no_use_any_more_is_missed_instead(uncertain: Uncertain) -> None:
    text = uncertain.lost(taken=False, expires_at=NOW + TWICE)
    uncertain.recover(TWICE)
    uncertain.life.tick()
    assert uncertain.life.fresh(text).state == "missed"
    assert uncertain.life.network.accepted == {}


@pytest.mark.parametrize("fault", ["fails_before", "fails_after"])
def test_whatever_breaks_a_text_reaches_the_phone_once(uncertain: Uncertain, fault: str) -> None:
    """From the plan to the phone: dispatch, doubt, proof, and once more where it is needed."""
    life = uncertain.life
    text = life.message(life.patient())
    uncertain.behave(**{fault: 1.0})
    life.tick()
    assert life.fresh(text).state == "unconfirmed"
    assert life.tasks() == []
    uncertain.behave(fails_before=0.0, fails_after=0.0)
    for age in (WAIT, TWICE):
        uncertain.recover(age)
        life.tick()
    assert life.fresh(text).state == "sent"
    assert len(life.network.accepted) == 1
    assert life.tasks() == []


@pytest.mark.parametrize("fault", ["fails_before", "fails_after"])
@pytest.mark.parametrize(
    "breakage", [Breakage.SERVER_ERROR, Breakage.BAD_GATEWAY, Breakage.CUT_OFF, Breakage.UNREADABLE]
)
def test_through_twilio_a_text_reaches_the_phone_once(uncertain: Uncertain, breakage: Breakage, fault: str) -> None:
    life = uncertain.life
    uncertain.behave(**{fault: 1.0})
    with FakeTwilio(life.network, life.clock, breakage=breakage).running() as server:
        config = TwilioConfig(ACCOUNT_SID, KEY_SID, KEY_SECRET, base_url=server.url, public_base_url=PUBLIC)
        life.gateway = TwilioGateway(config, life.clock)
        text = life.message(life.patient())
        life.tick()
        assert life.fresh(text).state == "unconfirmed"
        uncertain.behave(fails_before=0.0, fails_after=0.0)
        for age in (WAIT, TWICE):
            life.now = NOW + age
            recover(life.sessions, life.gateway, life.clock, wait=WAIT)
            life.tick()
        life.gateway.close()
    assert life.fresh(text).state == "sent"
    assert list(life.network.accepted) == [life.fresh(text).provider_sid]
    assert life.tasks() == []


def test_a_callback_ends_the_doubt_before_the_list_is_asked(uncertain: Uncertain) -> None:
    uncertain.behave(redacted=True)
    text = uncertain.lost(taken=True)
    (sid,) = uncertain.life.network.accepted
    receive_receipt(uncertain.life.sessions, said("sent", sid=sid, mid=text.id), uncertain.life.clock)
    assert uncertain.recover(TWICE) == 0
    assert uncertain.life.fresh(text).state == "sent"
    assert uncertain.gateway.asked == []


# --- Is the list to be trusted ------------------------------------------------------------------------------------


def numbers_hidden(listed: list[ListedSms]) -> list[ListedSms]:
    return [replace(sms, to="+1202555XXXX", body=None) for sms in listed]


@pytest.mark.parametrize(
    ("canary", "state"),
    [
        pytest.param("shown", "planned", id="a text that left is shown"),
        pytest.param("none", "planned", id="nothing ever left, and nothing is hidden"),
        pytest.param("forgotten", "unconfirmed", id="a text that left is not shown"),
        pytest.param("too young", "planned", id="a text that just left need not be shown yet"),
        pytest.param("too old", "planned", id="of a text of last week nothing is asked"),
    ],
)
def test_an_empty_list_is_tried_on_a_text_that_certainly_left(uncertain: Uncertain, canary: str, state: str) -> None:
    if canary == "too old":
        uncertain.life.now = NOW - timedelta(days=5)
        uncertain.known(taken=False)
        uncertain.life.now = NOW
    elif canary in {"shown", "forgotten"}:
        uncertain.known(taken=canary == "shown")
    text = uncertain.lost(taken=False)
    if canary == "too young":
        uncertain.life.now = NOW + TWICE - WAIT + MOMENT
        uncertain.known(taken=False)
    uncertain.recover(TWICE)
    assert uncertain.life.fresh(text).state == state


def test_where_nothing_is_known_a_list_of_everything_must_hide_nothing(
    uncertain: Uncertain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hidden numbers: a list by number finds nothing, and the text is there all the same."""
    text = uncertain.lost(taken=True)
    show = SimulatedGateway.texts_to

    def hiding(self: SimulatedGateway, number: str | None, since: datetime) -> list[ListedSms]:
        return [] if number else numbers_hidden(show(self, None, since))

    monkeypatch.setattr(SimulatedGateway, "texts_to", hiding)
    uncertain.recover(TWICE)
    assert uncertain.life.fresh(text).state == "unconfirmed"
    assert uncertain.gateway.asked == [None, text.to_number]
    (task,) = uncertain.life.tasks("unconfirmed")
    assert (task.message_id, task.state) == (text.id, "open")


def test_the_list_is_tried_once_a_run(uncertain: Uncertain) -> None:
    canary = uncertain.known()
    texts = [uncertain.lost(taken=False) for _ in range(3)]
    uncertain.recover(TWICE)
    assert uncertain.gateway.asked == [each.to_number for each in (canary, *texts)]


def test_as_long_as_nothing_is_to_be_disproven_the_list_is_not_tried(uncertain: Uncertain) -> None:
    uncertain.known()
    text = uncertain.lost(taken=False)
    uncertain.recover(WAIT)
    assert uncertain.gateway.asked == [text.to_number]


# --- A person decides ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("urgency", "priority", "level", "words"),
    [
        pytest.param("safety", 0, "red", "Phone the patient at once", id="an answer to an alarming text"),
        pytest.param("reply", 0, "red", "Phone the patient at once", id="an answer"),
        pytest.param("care", 1, "red", "Phone the patient at once", id="aftercare"),
        pytest.param("routine", 2, "routine", "If it matters", id="a reminder"),
    ],
)
def test_without_proof_a_person_decides(
    uncertain: Uncertain, urgency: str, priority: int, level: str, words: str
) -> None:
    uncertain.behave(redacted=True)
    text = uncertain.lost(taken=True, urgency=urgency, priority=priority)
    assert [uncertain.recover(age) for age in (TWICE, TWICE * 2, TWICE * 3)] == [1, 0, 0]
    (task,) = uncertain.life.tasks("unconfirmed")
    assert (task.level, task.message_id, task.patient_id, task.due_at) == (level, text.id, text.patient_id, NOW + TWICE)
    assert task.next_action.startswith(words)
    assert f"aftercare message decide {text.id}" in task.next_action
    assert "not sent again by itself" in task.reason
    assert uncertain.life.fresh(text).state == "unconfirmed"


def test_a_list_that_answers_later_settles_it_and_ends_the_task(uncertain: Uncertain) -> None:
    texts = [uncertain.lost(taken=True), uncertain.lost(taken=False)]
    uncertain.behave(outages=[Span(NOW, NOW + timedelta(hours=1))])
    for age in (WAIT, TWICE, timedelta(minutes=30)):
        uncertain.recover(age)
    assert uncertain.states() == ["unconfirmed", "unconfirmed"]
    assert [task.state for task in uncertain.life.tasks("unconfirmed")] == ["open", "open"]
    uncertain.recover(timedelta(hours=2))
    assert uncertain.states() == ["sent", "planned"]
    assert [task.state for task in uncertain.life.tasks("unconfirmed")] == ["closed", "closed"]
    assert [uncertain.life.story(text)[-1][0] for text in texts] == ["sent", "not_sent"]


def test_one_that_becomes_useless_in_doubt_is_put_before_a_person_all_the_same(uncertain: Uncertain) -> None:
    uncertain.behave(redacted=True)
    uncertain.lost(taken=True, expires_at=NOW + WAIT)
    uncertain.recover(TWICE)
    assert len(uncertain.life.tasks("unconfirmed")) == 1


@pytest.mark.parametrize("missing", ["number", "attempt"])
def test_where_there_is_nothing_to_look_for_in_the_list_a_person_decides(uncertain: Uncertain, missing: str) -> None:
    """A row written by another program, perhaps."""
    if missing == "number":
        uncertain.life.change(uncertain.lost(taken=False), to_number=None)
    else:
        uncertain.life.message(uncertain.life.patient(), state="unconfirmed", sent_at=NOW, to_number="+12025550177")
    assert [uncertain.recover(age) for age in (WAIT, TWICE - MOMENT, TWICE, TWICE * 2)] == [0, 0, 1, 0]
    assert len(uncertain.life.tasks("unconfirmed")) == 1
    assert uncertain.gateway.asked == []


# --- The same words to one phone ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "states", "told"),
    [
        pytest.param((False, False), ["planned", "planned"], 0, id="neither left"),
        pytest.param((True, True), ["sent", "sent"], 0, id="both left"),
        pytest.param((True, False), ["sent", "planned"], 0, id="one left"),
        pytest.param((False, True), ["sent", "planned"], 0, id="one left, and which does not matter"),
    ],
)
def test_a_family_s_phone(uncertain: Uncertain, taken: tuple[bool, bool], states: list[str], told: int) -> None:
    for each in taken:
        uncertain.lost(taken=each, of=uncertain.life.patient(phone="+12025550142"))
    uncertain.recover(WAIT)
    uncertain.recover(TWICE)
    assert uncertain.states() == states
    assert len(uncertain.life.tasks("unconfirmed")) == told


def test_of_a_family_s_two_texts_the_known_one_tells_of_the_other(uncertain: Uncertain) -> None:
    """One left, and its callback says which: so the other did not."""
    first, second = (
        uncertain.lost(taken=taken, of=uncertain.life.patient(phone="+12025550142")) for taken in (False, True)
    )
    uncertain.recover(WAIT)
    (sid,) = uncertain.life.network.accepted
    receive_receipt(uncertain.life.sessions, said("delivered", sid=sid, mid=second.id), uncertain.life.clock)
    uncertain.recover(TWICE)
    assert (uncertain.life.fresh(first).state, uncertain.life.fresh(second).state) == ("planned", "delivered")


def test_a_callback_that_names_the_other_of_a_family_s_texts_comes_too_late_to_matter(uncertain: Uncertain) -> None:
    """The list told of one of them: the phone is to get one more, whichever it is called."""
    first, second = (
        uncertain.lost(taken=taken, of=uncertain.life.patient(phone="+12025550142")) for taken in (False, True)
    )
    uncertain.recover(TWICE)
    (sid,) = uncertain.life.network.accepted
    receive_receipt(uncertain.life.sessions, said("delivered", sid=sid, mid=second.id), uncertain.life.clock)
    assert (uncertain.life.fresh(first).state, uncertain.life.fresh(second).state) == ("delivered", "planned")
    assert uncertain.life.tasks() == []


def test_the_same_words_that_are_known_to_have_left_do_not_count(uncertain: Uncertain) -> None:
    family = uncertain.life.patient(phone="+12025550142")
    uncertain._handed_over(family, "See you.", taken=True, known=True)
    first = uncertain.lost(taken=False, of=family, body="See you.")
    uncertain.recover(TWICE)
    assert uncertain.life.fresh(first).state == "planned"
    second = uncertain.lost(taken=True, of=family, body="See you.")
    uncertain.recover(TWICE * 2)
    assert uncertain.life.fresh(second).state == "sent"


def test_the_same_words_of_which_a_person_has_decided_leave_it_to_a_person(uncertain: Uncertain) -> None:
    """Which of the texts in the list is the one that somebody knows of, nobody can tell."""
    family = uncertain.life.patient(phone="+12025550142")
    uncertain.behave(outages=[Span(NOW + MOMENT, NOW + TWICE + MOMENT)])
    first, second = uncertain.lost(taken=True, of=family), uncertain.lost(taken=True, of=family)
    uncertain.recover(TWICE)
    with uncertain.life.sessions.begin() as db:
        decide_sent(db, first.id, reason="She has it.", by="nurse", now=uncertain.life.now, wait=WAIT)
    uncertain.recover(TWICE * 2)
    assert (uncertain.life.fresh(first).state, uncertain.life.fresh(second).state) == ("sent", "unconfirmed")
    assert [task.state for task in uncertain.life.tasks("unconfirmed")] == ["closed", "open"]


def test_what_the_provider_has_twice_was_sent_twice(uncertain: Uncertain) -> None:
    text = uncertain.lost(taken=True)
    uncertain._take(text)
    uncertain.recover(WAIT)
    assert uncertain.life.fresh(text).state == "sent"
    (task,) = uncertain.life.tasks("sent_twice")
    assert (task.level, task.message_id) == ("red", text.id)


def test_the_same_words_that_are_just_leaving_are_waited_for(uncertain: Uncertain) -> None:
    family = "+12025550142"
    first = uncertain.lost(taken=False, of=uncertain.life.patient(phone=family))
    uncertain.life.now = NOW + WAIT - timedelta(seconds=1)
    second = uncertain.lost(
        taken=True,
        of=uncertain.life.patient(phone=family),
        state="sending",
        sent_at=None,
        claimed_at=uncertain.life.now,
    )
    uncertain.recover(WAIT)
    assert uncertain.life.fresh(first).state == "unconfirmed", "what is listed is the other's"
    (sid,) = uncertain.life.network.accepted
    receive_receipt(uncertain.life.sessions, said("sent", sid=sid, mid=second.id), uncertain.life.clock)
    uncertain.recover(TWICE)
    assert uncertain.life.fresh(first).state == "planned"


# --- While the list is read ---------------------------------------------------------------------------------------


def test_no_transaction_is_open_while_the_provider_is_asked(uncertain: Uncertain) -> None:
    pool = uncertain.life.sessions.kw["bind"].pool
    uncertain.gateway.meanwhile.append(lambda: open_then.append(pool.checkedout()))
    open_then: list[int] = []
    uncertain.lost(taken=False)
    uncertain.known()
    uncertain.recover(TWICE)
    assert open_then == [0, 0]


@pytest.mark.parametrize("taken", [True, False], ids=["it left", "it did not, says the list"])
def test_a_callback_that_comes_while_the_list_is_read_is_believed(uncertain: Uncertain, *, taken: bool) -> None:
    text = uncertain.lost(taken=taken)
    sid = next(iter(uncertain.life.network.accepted), "SM-unlisted")
    receipt = said("delivered", sid=sid, mid=text.id)
    uncertain.gateway.meanwhile.append(lambda: receive_receipt(uncertain.life.sessions, receipt, uncertain.life.clock))
    assert uncertain.recover(TWICE) == 0
    assert uncertain.life.fresh(text).state == "delivered"
    assert [kind for kind, _ in uncertain.life.story(text)] == ["sent", "receipt"]


def test_a_worker_that_was_only_frozen_may_still_say_what_it_learned(uncertain: Uncertain) -> None:
    """Proven not sent is a proof about the list; a report of the provider itself says more, however late it comes."""
    text = uncertain.lost(taken=False)
    uncertain.recover(TWICE)
    with uncertain.life.sessions.begin() as db:
        assert apply_receipt(db, said("sent", sid="SM9", mid=text.id), now=uncertain.life.now)
    assert uncertain.life.fresh(text).state == "sent"
    uncertain.life.tick()
    assert uncertain.life.network.accepted == {}


# --- Many doubts, and a provider that is down ---------------------------------------------------------------------


def test_a_list_that_breaks_ends_the_run_and_the_next_one_asks_about_another(
    uncertain: Uncertain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "ASKED_AT_ONCE", 1)
    uncertain.behave(outages=[Span(NOW, NOW + timedelta(hours=10))])
    texts = [uncertain.lost(taken=False) for _ in range(3)]
    for n in range(4):
        uncertain.recover(WAIT + timedelta(seconds=n))
    assert uncertain.gateway.asked == [text.to_number for text in texts], "each once, until its next turn"
    assert uncertain.life.tasks() == []
    assert uncertain.recover(TWICE) == 3
    assert uncertain.gateway.asked[3:] == [None, texts[0].to_number]
    assert len(uncertain.life.tasks("unconfirmed")) == 3


def test_an_outage_of_hours_is_asked_about_ever_more_rarely(uncertain: Uncertain) -> None:
    uncertain.behave(outages=[Span(NOW, NOW + timedelta(days=9))])
    uncertain.lost(taken=False)
    for minute in range(0, 12 * 60, 5):
        uncertain.recover(timedelta(minutes=minute))
    assert 45 < sum(number is not None for number in uncertain.gateway.asked) < 60


def test_one_question_settles_all_texts_to_a_number(uncertain: Uncertain) -> None:
    patient = uncertain.life.patient()
    for n in range(4):
        uncertain.lost(taken=n % 2 == 0, of=patient, body=f"Text {n}")
    uncertain.recover(TWICE)
    assert uncertain.states() == ["sent", "planned", "sent", "planned"]
    assert uncertain.gateway.asked == [None, patient.phone]


def test_a_run_is_bounded_and_nobody_is_troubled_before_all_were_asked_about(
    uncertain: Uncertain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "ASKED_AT_ONCE", 1)
    for n in range(5):
        uncertain.lost(taken=True, body=f"Text {n}")

    def read_slowly() -> None:
        uncertain.life.now += recovery.RUN * 0.4

    uncertain.gateway.meanwhile.append(read_slowly)
    assert [uncertain.recover(TWICE) for _ in range(4)] == [2, 2, 1, 0]
    assert set(uncertain.states()) == {"sent"}
    assert uncertain.life.tasks() == []


def test_several_are_asked_about_at_once_and_one_list_that_breaks_is_that_one_s_loss(
    uncertain: Uncertain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of six waits until all six are being asked about; a list that is not shown proves nothing, of its own number."""
    numbers = [uncertain.lost(taken=True, body=f"Text {n}").to_number for n in range(6)]
    together = Barrier(6, timeout=60)
    show = SimulatedGateway.texts_to

    def break_off(self: SimulatedGateway, number: str | None, since: datetime) -> list[ListedSms]:
        if number is not None and not together.broken:
            together.wait()
        if number == numbers[2]:
            raise AftercareError("The list broke off.")
        return show(self, number, since)

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedGateway, "texts_to", break_off)
        assert uncertain.recover(WAIT) == 5
        together.abort()
        assert uncertain.states() == ["sent", "sent", "unconfirmed", *["sent"] * 3]
        assert uncertain.life.tasks() == []
        uncertain.recover(TWICE)
    (task,) = uncertain.life.tasks("unconfirmed")
    assert task.message_id == 3


def test_a_service_that_stops_puts_nothing_before_people(uncertain: Uncertain, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        uncertain.lost(taken=True)

    def closing(*_: object) -> list[ListedSms]:
        raise GatewayClosedError("The service is stopping.")

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedGateway, "texts_to", closing)
        assert [uncertain.recover(age) for age in (WAIT, TWICE)] == [0, 0]
    assert uncertain.life.tasks() == []
    assert uncertain.recover(TWICE + recovery.LEASE) == 2


@pytest.mark.parametrize(
    ("trouble", "settled"),
    [
        pytest.param(OperationalError("UPDATE", None, Exception("gone")), 0, id="the database is away: all wait"),
        pytest.param(ValueError("a fault of ours"), 2, id="a fault of ours with one text: the others go on"),
    ],
)
def test_whoever_was_not_settled_is_asked_about_again_a_minute_later(
    uncertain: Uncertain, monkeypatch: pytest.MonkeyPatch, trouble: Exception, settled: int
) -> None:
    texts = [uncertain.lost(taken=True, body=f"Text {n}") for n in range(3)]

    def fail_with_the_first(db: Session, message: Message, listed: ListedSms, *, now: datetime) -> None:
        if message.id == texts[0].id:
            raise trouble
        attach(db, message, listed, now=now)

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "attach", fail_with_the_first)
        if settled:
            assert uncertain.recover(WAIT) == settled
        else:
            with pytest.raises(OperationalError):
                uncertain.recover(WAIT)
    assert uncertain.states().count("sent") == settled
    assert uncertain.recover(WAIT + recovery.LEASE) == 3 - settled
    assert set(uncertain.states()) == {"sent"}


def test_what_the_provider_reported_is_worked_in_before_it_is_asked(uncertain: Uncertain) -> None:
    """The callback was kept, and the process died before it could be worked in; and the list lags."""
    text = uncertain.lost(taken=True)
    with uncertain.life.sessions.begin() as db:
        inbox.add_receipt(db, said("delivered", sid=uncertain.sid_of(text), mid=text.id), now=NOW)
    uncertain.behave(list_lag=timedelta(hours=1))
    uncertain.recover(TWICE)
    assert uncertain.life.fresh(text).state == "delivered"


def test_a_report_that_can_not_be_worked_in_is_no_proof_of_the_contrary(uncertain: Uncertain) -> None:
    uncertain.known()
    text = uncertain.lost(taken=False)
    with uncertain.life.sessions.begin() as db:
        raw_id = inbox.add_receipt(db, said("delivered", sid="SM" + "9" * 32, mid=text.id), now=NOW)
        db.execute(update(RawReceipt).where(RawReceipt.id == raw_id).values(failures=inbox.TRIES))
    uncertain.recover(TWICE)
    assert uncertain.life.fresh(text).state == "unconfirmed"


@pytest.mark.parametrize("known", [False, True], ids=["nothing left lately", "another text left"])
def test_a_clock_minutes_ahead_of_the_provider_s_makes_no_list_a_proof(uncertain: Uncertain, known: bool) -> None:
    """The provider dates the text so long before our attempt that it can not be told to be the same."""
    if known:
        uncertain.known()
    text = uncertain.lost(taken=True)
    with uncertain.life.sessions.begin() as db:
        ahead = update(SendAttempt).where(SendAttempt.message_id == text.id)
        db.execute(ahead.values(started_at=NOW + EARLIER + timedelta(seconds=10)))
    uncertain.recover(TWICE + EARLIER)
    assert uncertain.life.fresh(text).state == "unconfirmed"
    assert len(uncertain.life.tasks("unconfirmed")) == 1


def test_people_are_told_batch_by_batch(uncertain: Uncertain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "BATCH", 2)
    for _ in range(5):
        uncertain.lost(taken=True)
    uncertain.behave(outages=[Span(NOW, NOW + timedelta(days=1))])
    assert uncertain.recover(TWICE) == 5
    assert len(uncertain.life.tasks("unconfirmed")) == 5


def test_the_most_urgent_is_asked_about_first_then_the_oldest(
    uncertain: Uncertain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "ASKED_AT_ONCE", 1)
    routine, care = uncertain.lost(taken=True), uncertain.lost(taken=True, urgency="care", priority=1)
    uncertain.life.now = NOW - timedelta(seconds=1)
    older = uncertain.lost(taken=True)
    uncertain.recover(WAIT)
    assert uncertain.gateway.asked == [care.to_number, older.to_number, routine.to_number]


def test_two_workers_do_not_ask_the_same(uncertain: Uncertain) -> None:
    uncertain.known()
    text = uncertain.lost(taken=False)
    other = Asked(uncertain.life)
    ran: list[int] = []

    def another_worker() -> None:
        if not ran:
            ran.append(0)
            ran[0] = recover(uncertain.life.sessions, other, uncertain.life.clock, wait=WAIT)

    uncertain.gateway.meanwhile.append(another_worker)
    uncertain.recover(TWICE)
    assert (ran, other.asked, uncertain.life.tasks()) == ([0], [], [])
    assert uncertain.life.fresh(text).state == "planned"


def test_where_nothing_is_in_doubt_nobody_is_asked(uncertain: Uncertain) -> None:
    uncertain.known()
    assert uncertain.recover(timedelta(days=1)) == 0
    assert uncertain.gateway.asked == []


def test_killed_between_two_numbers_nothing_is_lost(uncertain: Uncertain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "ASKED_AT_ONCE", 1)
    for n in range(2):
        uncertain.lost(taken=True, body=f"Text {n}")

    def killed() -> None:
        if len(uncertain.gateway.asked) == 2:  # the second number, at the wait: no list is tried yet
            raise KeyboardInterrupt

    uncertain.gateway.meanwhile.append(killed)
    with pytest.raises(KeyboardInterrupt):
        uncertain.recover(WAIT)
    assert sorted(uncertain.states()) == ["sent", "unconfirmed"]
    uncertain.recover(TWICE)
    assert uncertain.states() == ["sent", "sent"]
    with uncertain.life.sessions() as db:
        assert db.scalar(select(func.count()).select_from(Task)) == 0
