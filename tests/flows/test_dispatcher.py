"""Sending: claim, look again, compose, send, settle. Each text leaves once, whatever breaks in between."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import select, update

from service.domain.rates import AHEAD
from service.domain.retries import next_attempt_at
from service.domain.sms import LEAVE_WITHIN, Outcome, OutgoingSms, SmsGateway
from service.flows import dispatcher
from service.flows.dispatcher import Sending, dispatch_due, dispatch_sender
from service.flows.doubts import decide_not_sent
from service.flows.recovery import STALE, recover, rescue_stale_claims
from service.flows.telling import tell_unconfirmed
from service.gateways.simulated_network import DEFAULT, NetworkConfig, Span
from service.store.tables import Message, Patient, SendAttempt, Sender
from tests.domain.cases import DAY, HOUR
from tests.flows.clinic_life import SENDER, ClinicLife, Watched, at, rate, ready
from tests.store.factories import NOW

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
FAST = 10_000.0
WAIT = timedelta(seconds=90)


class BrokenError(RuntimeError):
    """The process dies."""


def attempts(life: ClinicLife) -> list[SendAttempt]:
    with life.sessions() as db:
        return list(db.scalars(select(SendAttempt).order_by(SendAttempt.message_id, SendAttempt.n)))


def dispatch_one(life: ClinicLife, gateway: SmsGateway | None = None) -> int:
    """One round of the one sender, and nothing else."""
    return dispatch_sender(Sending(life.sessions, gateway or life.gateway, life.clock, life.policy), 1)


def states(life: ClinicLife) -> Counter[str]:
    return Counter(m.state for m in life.messages(kind="staff"))


# one text


def test_a_text_that_is_due_leaves_and_its_row_says_how(life: ClinicLife) -> None:
    life.completed(NOW - 5 * MINUTE)
    life.wait(minutes=5)
    (left,) = life.left()
    row = life.planned("aftercare_1")
    assert (row.state, row.attempts, row.sent_at, row.text) == ("sent", 1, NOW + 5 * MINUTE, left.body)
    assert (row.to_number, row.language, row.encoding, row.segments) == (left.to, "en", "GSM-7", 2)
    assert (row.claim_token, row.held_reason, row.reason) == (None, None, None)
    assert row.provider_sid in life.network.accepted
    assert row.template_version_id is not None
    (attempt,) = attempts(life)
    assert (attempt.number, attempt.text, attempt.segments, attempt.counts) == (left.to, left.body, 2, True)
    assert (attempt.outcome, attempt.provider_sid, attempt.started_at) == ("accepted", row.provider_sid, row.sent_at)
    assert life.story(row) == [("sent", None)]


def test_nothing_leaves_before_its_time(quick: ClinicLife) -> None:
    (text,) = ready(quick, 1, due_at=NOW + SECOND)
    assert quick.dispatch() == 0
    quick.now += SECOND
    assert quick.dispatch() == 1
    assert quick.fresh(text).state == "sent"


def test_the_provider_gets_what_the_last_look_decided(quick: ClinicLife) -> None:
    (text,) = ready(quick, 1, expires_at=NOW + 20 * MINUTE)
    seen: list[OutgoingSms] = []
    quick.gateway = Watched(quick.gateway, seen.append)
    quick.dispatch()
    (sms,) = seen
    assert (sms.message_id, sms.attempt, sms.validity_seconds) == (text.id, 1, 1200)
    assert (sms.sender.number, sms.sender.messaging_service) == (SENDER, None)
    assert sms.leave_by == NOW + LEAVE_WITHIN


def test_no_transaction_is_open_while_the_provider_is_asked(life: ClinicLife) -> None:
    """Another worker could read and write all the while, and finds the attempt already written."""
    ready(life, 1)
    found: list[tuple[str, list[str | None]]] = []

    def look(sms: OutgoingSms) -> None:
        with life.sessions.begin() as db:
            db.execute(update(Patient).values(first_name="changed meanwhile"))
        found.append((life.messages(id=sms.message_id)[0].state, [a.outcome for a in attempts(life)]))

    life.gateway = Watched(life.gateway, look)
    life.dispatch()
    assert found == [("sending", [None])]


def test_dispatching_again_sends_nothing_again(life: ClinicLife) -> None:
    ready(life, 3)
    life.dispatch()
    assert life.dispatch() == 0
    assert len(life.left()) == 3


def test_what_is_urgent_goes_first_then_what_waited_longest(quick: ClinicLife) -> None:
    rate(quick, FAST)
    late, early, care, reply = ready(quick, 4)
    quick.change(early, attempt_at=NOW - HOUR)
    quick.change(care, priority=1)
    quick.change(reply, priority=0)
    quick.dispatch()
    assert [text.message_id for text in quick.left()] == [reply.id, care.id, early.id, late.id]


# what the provider says

BUSY, RETRY_AFTER = replace(DEFAULT, busy=1.0), 1


def test_a_busy_provider_is_asked_again_after_a_while_that_doubles(life: ClinicLife) -> None:
    life.network.config = BUSY
    (text,) = ready(life, 1)
    for n in range(1, 5):
        life.dispatch()
        row = life.fresh(text)
        assert (row.state, row.attempts, row.held_reason) == ("planned", n, "retry")
        expected = next_attempt_at(life.now, message_id=text.id, attempts=n, retry_after_seconds=RETRY_AFTER)
        assert row.attempt_at == expected
        assert life.dispatch() == 0
        life.now = row.attempt_at
    life.network.config = DEFAULT
    life.dispatch()
    row = life.fresh(text)
    assert (row.state, row.attempts, row.held_reason) == ("sent", 5, None)
    assert [a.outcome for a in attempts(life)] == [*["refused"] * 4, "accepted"]
    assert life.story(row) == [*[("refused", "20429")] * 4, ("sent", None)]
    assert life.tasks() == []


def test_a_provider_that_says_how_long_to_wait_is_left_alone_so_long(quick: ClinicLife) -> None:
    quick.network.config = replace(BUSY, retry_after_seconds=300)
    (text,) = ready(quick, 1)
    quick.dispatch()
    wait = quick.fresh(text).attempt_at - NOW
    assert timedelta(seconds=300) <= wait <= timedelta(seconds=375)


def test_a_text_that_the_provider_had_no_time_for_ends_when_it_is_no_use(life: ClinicLife) -> None:
    life.network.config = replace(DEFAULT, bursts=(Span(NOW, NOW + DAY),))
    (text,) = ready(life, 1, expires_at=NOW + 5 * MINUTE)
    life.wait(minutes=6)
    row = life.fresh(text)
    assert (row.state, row.reason, row.held_reason) == ("missed", "retry", None)
    assert life.left() == []


def test_an_answer_that_never_came_is_not_taken_for_a_no(life: ClinicLife) -> None:
    """The network took the text and broke before it said so: a second one would be a double."""
    life.network.config = replace(DEFAULT, fails_after=1.0)
    (text,) = ready(life, 1)
    life.wait(hours=7)
    row = life.fresh(text)
    assert (row.state, row.attempts, row.sent_at, row.provider_sid) == ("unconfirmed", 1, NOW, None)
    assert len(life.left()) == 1
    assert [kind for kind, _ in life.story(row)] == ["unconfirmed"]


def test_a_text_that_was_refused_for_good_says_why(life: ClinicLife) -> None:
    (text,) = ready(life, 1)
    life.network.config = refusing(_phone(life))
    life.dispatch()
    row = life.fresh(text)
    assert (row.state, row.settled_at, row.sent_at) == ("failed", NOW, None)
    assert row.reason.endswith("(21617)")
    assert life.story(row) == [("refused", "21617")]


def refusing(phone: str) -> NetworkConfig:
    """A network that takes no text for this phone, because of the text."""
    return replace(DEFAULT, refused_numbers={phone: "21617"})


def _phone(life: ClinicLife) -> str:
    with life.sessions() as db:
        return db.scalars(select(Patient.phone)).one() or ""


# what breaks in between


def test_a_process_that_dies_while_sending_leaves_the_text_claimed_and_it_is_never_sent_again(
    life: ClinicLife,
) -> None:
    rate(life, FAST)
    texts = ready(life, 3)
    gateway = life.gateway
    seen: list[int] = []

    def die(sms: OutgoingSms) -> None:
        seen.append(sms.message_id)
        if len(seen) == 2:
            raise BrokenError

    life.gateway = Watched(gateway, die)
    with pytest.raises(BrokenError):
        life.dispatch()
    life.gateway = gateway
    assert [life.fresh(text).state for text in texts] == ["sent", "sending", "sending"]
    assert life.dispatch() == 0
    life.now += STALE
    assert rescue_stale_claims(life.sessions, life.clock) == 0
    life.now += SECOND
    assert rescue_stale_claims(life.sessions, life.clock) == 2
    life.wait(hours=7)
    assert [life.fresh(text).state for text in texts] == ["sent", "unconfirmed", "unconfirmed"]
    assert [text.message_id for text in life.left()] == [texts[0].id]


class Frozen(Watched):
    """A worker that hands each text over and is frozen before it can write down what came of it; ``meanwhile`` happens then."""

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        for message in messages:
            handed_over = list(self._gateway.send_batch([message]))
            self._before(message)
            yield from handed_over


@pytest.mark.parametrize(
    ("config", "state", "story"),
    [
        pytest.param(lambda _: DEFAULT, "sent", ["sent"], id="it was taken"),
        pytest.param(lambda _: BUSY, "planned", ["refused"], id="it was not taken for now"),
        pytest.param(refusing, "failed", ["refused"], id="it was refused"),
        pytest.param(lambda _: replace(DEFAULT, fails_before=1.0), "unconfirmed", [], id="nobody knows"),
    ],
)
def test_what_a_frozen_worker_learns_after_its_claim_was_taken_away_still_counts(
    life: ClinicLife, config: Callable[[str], NetworkConfig], state: str, story: list[str]
) -> None:
    (text,) = ready(life, 1)
    life.network.config = config(_phone(life))

    def meanwhile(_: OutgoingSms) -> None:
        life.now += STALE + SECOND
        assert rescue_stale_claims(life.sessions, life.clock) == 1

    dispatch_one(life, Frozen(life.gateway, meanwhile))
    row = life.fresh(text)
    assert (row.state, row.attempts) == (state, 1)
    assert [kind for kind, _ in life.story(row)] == ["unconfirmed", "late_outcome", *story]
    assert row.sent_at == (life.now if state in {"sent", "unconfirmed"} else None)


def test_the_late_answer_to_an_older_attempt_says_nothing_of_the_newer_one(life: ClinicLife) -> None:
    """A worker is frozen; its text is proven not sent and handed over again; then the first worker wakes up."""
    (text,) = ready(life, 1)
    inner = life.gateway

    def meanwhile(_: OutgoingSms) -> None:
        life.now += STALE + SECOND
        rescue_stale_claims(life.sessions, life.clock)
        life.change(text, state="planned", attempt_at=life.now, sent_at=None)
        life.network.config = replace(DEFAULT, fails_before=1.0)
        dispatch_one(life, inner)
        life.network.config = DEFAULT

    dispatch_one(life, Frozen(inner, meanwhile))
    row = life.fresh(text)
    assert (row.state, row.attempts, row.provider_sid) == ("unconfirmed", 2, None)
    assert [a.outcome for a in attempts(life)] == ["accepted", "unknown"]
    assert [task.level for task in life.tasks("sent_twice")] == ["red"]


def test_the_late_answer_that_a_text_left_after_all_keeps_it_from_leaving_again(life: ClinicLife) -> None:
    (text,) = ready(life, 1)

    def meanwhile(_: OutgoingSms) -> None:
        life.now += STALE + SECOND
        rescue_stale_claims(life.sessions, life.clock)
        life.change(text, state="planned", attempt_at=life.now, sent_at=None)

    dispatch_one(life, Frozen(life.gateway, meanwhile))
    life.dispatch()
    row = life.fresh(text)
    assert (row.state, row.attempts, len(life.left())) == ("sent", 1, 1)
    assert life.tasks("sent_twice") == []


def listed_as_not_sent(life: ClinicLife, _: Message) -> None:
    """The provider's list does not show it: so it is planned again."""
    assert recover(life.sessions, life.gateway, life.clock, wait=WAIT) == 1


def decided_as_not_sent(life: ClinicLife, text: Message) -> None:
    with life.sessions.begin() as db:
        decide_not_sent(db, text.id, reason="She has nothing.", by="nurse", now=life.now, wait=WAIT)


LOST = replace(DEFAULT, fails_before=1.0)


@pytest.mark.parametrize(
    ("end_doubt", "config", "state", "outcome", "story"),
    [
        pytest.param(
            listed_as_not_sent,
            LOST,
            "unconfirmed",
            ("unknown", None),
            ["unconfirmed"],
            id="the list, then nobody knows",
        ),
        pytest.param(
            listed_as_not_sent, BUSY, "planned", ("refused", "20429"), [], id="the list, then the provider itself"
        ),
        pytest.param(
            decided_as_not_sent, LOST, "planned", ("refused", "decided"), [], id="a person, then nobody knows"
        ),
    ],
)
def test_a_list_that_was_read_while_the_request_was_under_way_proves_nothing(
    life: ClinicLife,
    end_doubt: Callable[[ClinicLife, Message], None],
    config: NetworkConfig,
    state: str,
    outcome: tuple[str, str | None],
    story: list[str],
) -> None:
    """Who says that it had not left, and what the worker that was frozen then learns of it: a person's word stands."""
    (text,) = ready(life, 1)
    life.network.config = config

    def meanwhile(_: OutgoingSms) -> None:
        life.now += STALE + SECOND
        rescue_stale_claims(life.sessions, life.clock)
        life.now += 2 * WAIT
        end_doubt(life, text)
        assert life.fresh(text).state == "planned"

    dispatch_one(life, Frozen(life.gateway, meanwhile))
    row, (attempt,) = life.fresh(text), attempts(life)
    assert (row.state, row.held_reason, row.attempts) == (state, None, 1)
    assert (attempt.outcome, attempt.code) == outcome
    assert row.sent_at == (life.now if state == "unconfirmed" else None)
    assert [kind for kind, _ in life.story(row)] == ["unconfirmed", "not_sent", "late_outcome", *story]

    life.network.config = DEFAULT
    life.tick()
    assert len(life.left()) == (state == "planned"), "in doubt, it does not leave a second time"
    life.now += 2 * WAIT
    recover(life.sessions, life.gateway, life.clock, wait=WAIT)
    life.tick()
    assert [each.message_id for each in life.left()] == [text.id], "a list that was read after the end proves it"


def test_a_doubt_that_comes_back_is_put_before_the_person_again(life: ClinicLife) -> None:
    """A person was asked to find out; then the list seemed to tell, and the task was closed; and it had told nothing."""
    (text,) = ready(life, 1)
    life.network.config = LOST

    def meanwhile(_: OutgoingSms) -> None:
        life.now += STALE + SECOND
        rescue_stale_claims(life.sessions, life.clock)
        life.now += 2 * WAIT
        with life.sessions.begin() as db:
            tell_unconfirmed(db, db.get_one(Message, text.id), now=life.now)
        listed_as_not_sent(life, text)
        assert [task.state for task in life.tasks("unconfirmed")] == ["closed"]

    dispatch_one(life, Frozen(life.gateway, meanwhile))
    (task,) = life.tasks("unconfirmed")
    assert (life.fresh(text).state, task.state, task.closed_at, task.outcome) == ("unconfirmed", "open", None, None)


def test_an_id_that_was_counted_for_a_twin_is_no_news_of_this_text(life: ClinicLife) -> None:
    """A family's phone: the list showed one of two, and the other was proven not to have left."""
    one, other = ready(life, 2)

    def meanwhile(sms: OutgoingSms) -> None:
        if sms.message_id == one.id:
            life.change(one, state="planned", claim_token=None)
            life.change(other, state="sent", claim_token=None, attempts=1)
            (twin,) = (attempt for attempt in attempts(life) if attempt.message_id == other.id)
            (sid,) = life.network.accepted
            life.change(twin, outcome="accepted", provider_sid=sid)

    dispatch_one(life, Frozen(life.gateway, meanwhile))
    assert life.fresh(one).state == "planned"
    life.dispatch()
    assert (life.fresh(one).state, len({m.provider_sid for m in life.messages() if m.provider_sid})) == ("sent", 1)


def test_another_id_than_the_receipt_brought_means_that_it_left_twice(life: ClinicLife) -> None:
    (text,) = ready(life, 1)

    def reported(sms: OutgoingSms) -> None:
        life.change(text, state="delivered", claim_token=None, provider_sid="SM-early")
        life.change(attempts(life)[0], outcome="accepted", provider_sid="SM-early")

    life.gateway = Watched(life.gateway, reported)
    life.dispatch()
    assert len(life.tasks("sent_twice")) == 1


@pytest.mark.parametrize("rescued", [False, True], ids=["nobody noticed", "its claim was taken away"])
def test_a_worker_that_was_frozen_for_ten_minutes_sends_nothing_of_what_it_had_in_hand(
    life: ClinicLife, rescued: bool
) -> None:
    """It leaves at once afterwards, after another last look, and without the wait that a busy provider asks for."""
    (text,) = ready(life, 1)

    def freeze(_: OutgoingSms) -> None:
        life.now += 10 * MINUTE
        if rescued:
            rescue_stale_claims(life.sessions, life.clock)

    dispatch_one(life, Watched(life.gateway, freeze))
    row = life.fresh(text)
    assert (row.state, row.attempt_at, row.held_reason, row.sent_at) == ("planned", life.now, None, None)
    assert life.left() == []
    assert [reason for kind, reason in life.story(row) if kind == "refused"] == ["late"]
    life.dispatch()
    assert life.fresh(text).state == "sent"
    assert len(life.left()) == 1


def test_a_receipt_that_is_quicker_than_the_answer_is_not_taken_back(life: ClinicLife) -> None:
    (text,) = ready(life, 1)

    def deliver(sms: OutgoingSms) -> None:
        life.change(text, state="delivered", claim_token=None, provider_sid="SM-early")

    life.gateway = Watched(life.gateway, deliver)
    life.dispatch()
    row = life.fresh(text)
    assert (row.state, row.provider_sid) == ("delivered", "SM-early")
    assert [kind for kind, _ in life.story(row)] == ["late_outcome"]


# many workers


@pytest.mark.parametrize("workers", [2, 8])
def test_many_workers_send_each_text_once(life: ClinicLife, workers: int) -> None:
    rate(life, FAST)
    texts = ready(life, 40)
    start = Barrier(workers)

    def work(_: int) -> int:
        start.wait()
        return dispatch_due(life.sessions, life.gateway, life.clock, life.policy)

    with ThreadPoolExecutor(workers) as pool:
        looked = sum(pool.map(work, range(workers)))
    life.dispatch()
    assert looked == len(texts)
    assert Counter(text.message_id for text in life.left()) == Counter(text.id for text in texts)
    assert states(life) == {"sent": 40}
    assert len(attempts(life)) == 40


@pytest.mark.parametrize(
    ("column", "most", "kind"), [("day", 5, "in 24 hours"), ("week", 11, "in 7 days")], ids=["a day", "a week"]
)
def test_eight_workers_and_one_free_place_under_the_cap_make_one_text(
    life: ClinicLife, column: str, most: int, kind: str
) -> None:
    rate(life, FAST)
    patient = life.patient()
    life.plan()
    ago = HOUR if column == "day" else 2 * DAY
    for n in range(most):
        _sent_before(life, patient, NOW - ago - n * SECOND)
    texts = [life.message(patient, text=f"Text {n}.") for n in range(8)]
    start = Barrier(8)

    def work(_: int) -> None:
        start.wait()
        dispatch_due(life.sessions, life.gateway, life.clock, life.policy)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    life.dispatch()
    assert len(life.left()) == 1
    found = [life.fresh(text) for text in texts]
    assert Counter((m.state, m.held_reason) for m in found) == {("sent", None): 1, ("planned", "cap"): 7}


def _sent_before(life: ClinicLife, patient: Patient, moment: datetime) -> None:
    sent = life.message(patient, state="sent", sent_at=moment, due_at=moment)
    values = {"message_id": sent.id, "clinic_id": sent.clinic_id, "patient_id": patient.id, "n": 1, "sender_id": 1}
    text = {"number": patient.phone, "text": "Before.", "body_hash": "b" * 64, "encoding": "GSM-7", "segments": 1}
    with life.sessions.begin() as db:
        db.add(SendAttempt(**values, **text, started_at=moment, outcome="accepted"))


# rates


def stretches(left: Sequence[tuple[datetime, int]], per_second: float) -> list[tuple[int, float]]:
    """For every stretch of time: segments that left in it, and how many may at the most."""
    found = []
    for i, (start, _) in enumerate(left):
        for end, _ in left[i:]:
            carried = sum(segments for moment, segments in left if start <= moment <= end)
            found.append((carried, per_second * ((end - start).total_seconds() + AHEAD.total_seconds())))
    return found


@pytest.mark.parametrize("per_second", [0.5, 3.0])
def test_a_sender_keeps_its_rate_and_never_stands_still(life: ClinicLife, per_second: float) -> None:
    rate(life, per_second)
    ready(life, 12, text="Two parts. " * 20)
    life.until(NOW + 5 * MINUTE)
    segments = {m.id: m.segments or 0 for m in life.messages(kind="staff")}
    left = [(text.at, segments[text.message_id]) for text in life.left()]
    assert len(left) == 12
    longest = max(segments.values())
    assert longest == 2
    assert all(carried <= most + longest for carried, most in stretches(left, per_second))
    total = sum(segments.values())
    assert left[-1][0] - NOW <= timedelta(seconds=total / per_second)


def test_two_workers_share_one_rate(life: ClinicLife) -> None:
    rate(life, 0.4)
    ready(life, 10)
    for _ in range(2):
        dispatch_due(life.sessions, life.gateway, life.clock, life.policy)
    assert len(life.left()) == 2


def test_what_a_sender_has_no_room_for_waits_unchanged(quick: ClinicLife) -> None:
    rate(quick, 0.2)
    ready(quick, 3, text="Two parts. " * 20)
    quick.dispatch()
    waiting = [m for m in quick.messages(kind="staff") if m.state == "planned"]
    assert [(m.attempt_at, m.held_reason, m.claim_token, m.claimed_at, m.attempts) for m in waiting] == [
        (NOW, None, None, None, 0)
    ] * 2


def test_a_batch_that_runs_out_of_room_puts_the_rest_back(quick: ClinicLife) -> None:
    rate(quick, 0.4)
    texts = ready(quick, 2, text="Two parts. " * 20)
    assert quick.dispatch() == 1
    assert [quick.fresh(text).state for text in texts] == ["sent", "planned"]
    assert quick.fresh(texts[1]).claim_token is None


def test_urgent_texts_do_not_wait_behind_routine_ones(quick: ClinicLife) -> None:
    rate(quick, 0.2)
    ready(quick, 5)
    (urgent,) = ready(quick, 1)
    quick.change(urgent, priority=0)
    quick.dispatch()
    assert [text.message_id for text in quick.left()] == [urgent.id]


def test_each_sender_has_its_own_rate(quick: ClinicLife) -> None:
    rate(quick, 0.2)
    with quick.sessions.begin() as db:
        db.add(Sender(id=2, key="second", number="+13125550111", segments_per_second=0.4))
    ready(quick, 3)
    ready(quick, 3, sender_id=2)
    quick.dispatch()
    assert Counter(m.sender_id for m in quick.messages(state="sent")) == {1: 1, 2: 2}


# the carriers' day


def test_a_full_day_holds_what_is_routine_until_midnight_pacific(life: ClinicLife) -> None:
    rate(life, FAST, daily_segments=3)
    life.now = at("2026-03-02 18:00")
    texts = ready(life, 5, expires_at=life.now + 2 * DAY)
    life.dispatch()
    assert Counter((m.state, m.held_reason) for m in life.messages(kind="staff")) == {
        ("sent", None): 3,
        ("planned", "daily_cap"): 2,
    }
    life.wait(hours=8, minutes=30)
    assert states(life) == {"sent": 3, "planned": 2}
    life.until("2026-03-03 09:20")
    assert states(life) == {"sent": 5}
    assert len(life.left()) == len(texts)


def test_a_full_day_holds_back_nothing_that_is_urgent(quick: ClinicLife) -> None:
    rate(quick, FAST, daily_segments=0)
    quick.completed(NOW - 10 * MINUTE)
    ready(quick, 1)
    quick.dispatch()
    assert quick.steps_left() == ["aftercare_1"]


def test_what_a_full_day_held_back_too_long_says_so(quick: ClinicLife) -> None:
    rate(quick, FAST, daily_segments=0)
    (text,) = ready(quick, 1, expires_at=NOW + 20 * MINUTE)
    quick.wait(minutes=20)
    row = quick.fresh(text)
    assert (row.state, row.reason) == ("missed", "daily_cap")


# what is no use any more


@pytest.mark.parametrize(
    ("left", "state"),
    [(60 * SECOND, "sent"), (60 * SECOND - timedelta(microseconds=1), "missed"), (-DAY, "missed")],
    ids=["a minute left", "less than a minute left", "long over"],
)
def test_a_text_that_comes_too_late_is_not_sent(life: ClinicLife, left: timedelta, state: str) -> None:
    (text,) = ready(life, 1, expires_at=NOW + left)
    assert life.dispatch() == 1
    row = life.fresh(text)
    assert row.state == state
    if state == "missed":
        assert (row.reason, row.settled_at, row.attempts) == ("expired", NOW, 0)
        assert life.story(row) == [("missed", "expired")]


def test_a_text_that_becomes_useless_while_others_are_sent_is_given_up_in_the_last_look(life: ClinicLife) -> None:
    rate(life, FAST)
    life.booked("2026-03-16 10:00", imported=True)
    life.plan()
    life.now = at("2026-03-16 06:59:01")
    dispatch_one(life)
    row = life.planned("pre_1d")
    assert (row.state, row.reason) == ("missed", "expired")
    assert [task.reason for task in life.tasks("missed_text")] == ["Day before: the text was not sent (expired)."]


def test_after_an_outage_nothing_old_goes_out(life: ClinicLife) -> None:
    life.booked("2026-03-16 10:00")
    life.plan()
    life.now = at("2026-03-16 08:30")
    life.tick()
    assert life.left() == []
    assert {(m.step, m.reason) for m in life.messages(state="missed")} >= {
        ("booked", "expired"),
        ("pre_7d", "expired"),
        ("pre_1d", "expired"),
    }
    (task,) = life.tasks("missed_text")
    assert (task.level, task.next_action) == (
        "routine",
        "Phone the patient and say what the text would have said.",
    )


def test_everything_that_is_no_use_ends_batch_by_batch(quick: ClinicLife, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "EXPIRED_BATCH", 2)
    ready(quick, 5, expires_at=NOW)
    assert quick.dispatch() == 5
    assert states(quick) == {"missed": 5}
