"""What the provider stops goes on by itself once it takes texts again: one text at a time finds out, and nobody else waits."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.breakers import IN_A_ROW, UNREACHABLE, Cause, Reach, tried_after
from service.domain.eligibility import HELD_FOR
from service.domain.errors import AftercareError
from service.domain.sms import Accepted, Blame, Failure, ListedSms, ListRefusedError, Outcome, OutgoingSms, Refused
from service.flows.breakers import Gate, Way, gate, learn, stop_for
from service.flows.claiming import claim_and_compose
from service.flows.dispatcher import dispatch_due
from service.flows.receipts import receive_receipt
from service.flows.recovery import STALE, rescue_stale_claims
from service.flows.refusals import draw_consequences
from service.flows.staffing import pause, resume
from service.gateways.simulated_network import DEFAULT, NetworkConfig, Span
from service.store import reports, running
from service.store.tables import Installation, JournalEntry, Message, Patient, SendAttempt, Sender
from tests.domain.cases import DAY, HOUR
from tests.fakes.scripted_gateway import said
from tests.flows.clinic_life import SENDER, ClinicLife, Watched, ready
from tests.flows.test_races import ON_POSTGRESQL
from tests.store.factories import NOW
from tests.store.test_marking_race import WAITING

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SECOND_SENDER = "+13125550188"


def two_senders(life: ClinicLife) -> None:
    with life.sessions.begin() as db:
        db.add(Sender(id=2, key="second", number=SECOND_SENDER))


def sender(life: ClinicLife, sender_id: int = 1) -> Sender:
    with life.sessions() as db:
        return db.get_one(Sender, sender_id)


def whole(life: ClinicLife) -> Installation:
    with life.sessions() as db:
        return db.get_one(Installation, 1)


def tried_at(life: ClinicLife, *, after: datetime) -> list[datetime]:
    """When texts were handed over, whatever came of it."""
    with life.sessions() as db:
        attempts = select(SendAttempt.started_at).where(SendAttempt.started_at > after)
        return sorted(db.scalars(attempts))


def journal(life: ClinicLife, kind: str) -> list[str | None]:
    with life.sessions() as db:
        of_kind = select(JournalEntry.reason).where(JournalEntry.kind == kind, JournalEntry.message_id.is_(None))
        return list(db.scalars(of_kind.order_by(JournalEntry.id)))


def held(life: ClinicLife, **where: Any) -> set[tuple[str, str | None]]:
    return {(m.state, m.held_reason) for m in life.messages(kind="staff", **where)}


TURNED_AWAY = replace(DEFAULT, refused_senders={SENDER: "21606"})
SILENT = replace(DEFAULT, fails_before=1.0)
BURST = 15
"""Texts of one segment that leave before the first answer is due, at the usual rate."""


def all_refused(life: ClinicLife, code: str) -> NetworkConfig:
    """A network that refuses whoever is texted, with this code."""
    with life.sessions() as db:
        phones = list(db.scalars(select(Patient.phone)))
    return replace(DEFAULT, refused_numbers={phone: code for phone in phones if phone})


def doubts(life: ClinicLife) -> int:
    return len(life.messages(state="unconfirmed"))


# what turns us away


def test_a_sender_that_was_turned_away_is_tried_with_one_text_at_a_time_and_goes_on_by_itself(life: ClinicLife) -> None:
    life.network.config = TURNED_AWAY
    ready(life, 30)
    life.wait(minutes=20)
    assert [(at - NOW) / MINUTE for at in tried_at(life, after=NOW)] == [1, 3, 7, 15]
    assert held(life) == {("planned", "sender_paused")}
    (task,) = life.tasks("sender_paused")
    assert (task.state, task.level) == ("open", "red")

    life.network.config = DEFAULT
    life.wait(minutes=11)
    assert held(life) == {("sent", None)}
    stopped = sender(life)
    assert (stopped.paused_at, stopped.pause_cause, stopped.probe_at, stopped.probes) == (None, None, None, 0)
    (task,) = life.tasks("sender_paused")
    assert (task.state, task.outcome) == ("closed", "It ended by itself: the provider takes texts again.")
    assert [reason and reason.endswith("(21606)") for reason in journal(life, "paused")] == [True]
    (reason,) = journal(life, "resumed")
    assert reason is not None
    assert reason.startswith("sender default (")
    assert reason.endswith("by itself, the provider takes texts again")


def test_the_text_that_tries_is_the_most_urgent(quick: ClinicLife) -> None:
    quick.network.config = TURNED_AWAY
    ready(quick, 20)
    quick.dispatch()
    urgent, *_ = ready(quick, 2, urgency="care", priority=1)
    quick.wait(minutes=1)
    assert quick.fresh(urgent).attempts == 1
    assert len(tried_at(quick, after=NOW)) == 1


def test_an_account_that_was_turned_away_stops_every_sender_and_goes_on_by_itself(life: ClinicLife) -> None:
    two_senders(life)
    ready(life, 5)
    ready(life, 5, sender_id=2)
    life.network.config = all_refused(life, "20003")
    life.wait(minutes=4)
    assert whole(life).pause_cause == "refused"
    assert held(life) == {("planned", "paused")}
    assert [(at - NOW) / MINUTE for at in tried_at(life, after=NOW)] == [1, 3]
    life.network.config = DEFAULT
    life.wait(minutes=4)
    assert held(life) == {("sent", None)}
    assert [task.state for task in life.tasks("all_paused")] == ["closed"]
    assert whole(life).paused_at is None


def test_a_sender_that_is_stopped_does_not_keep_the_account_from_being_tried(quick: ClinicLife) -> None:
    """The account's trouble hides the sender's: the one text that gets through shows that both are over."""
    quick.network.config = TURNED_AWAY
    ready(quick, 3)
    quick.dispatch()
    quick.network.config = all_refused(quick, "20003")
    quick.wait(minutes=1)
    assert (sender(quick).pause_cause, whole(quick).pause_cause) == ("refused", "refused")
    quick.network.config = DEFAULT
    quick.wait(minutes=2)
    assert (sender(quick).pause_cause, whole(quick).pause_cause) == (None, None)
    assert held(quick) == {("sent", None)}


def test_what_fails_only_after_it_was_taken_is_for_a_person(quick: ClinicLife) -> None:
    """One more text that is taken would prove nothing, and thousands would follow it to the same end."""
    (text,) = ready(quick, 1)
    with quick.sessions.begin() as db:
        failure = Failure(Blame.SENDER, "30032", "The number is not verified.", "Verify it.")
        draw_consequences(db, db.get_one(Message, text.id), failure, now=NOW)
    quick.wait(hours=2)
    assert quick.left() == []
    assert (sender(quick).paused_at, sender(quick).probe_at) == (NOW, None)


def test_a_number_that_takes_no_texts_does_not_show_that_the_sender_is_well(quick: ClinicLife) -> None:
    quick.network.config = TURNED_AWAY
    ready(quick, 3)
    quick.dispatch()
    quick.network.config = all_refused(quick, "21614")
    quick.wait(minutes=1)
    assert sender(quick).pause_cause == "refused"
    assert Counter(m.state for m in quick.messages(kind="staff")) == {"failed": 1, "planned": 2}


def test_what_was_on_its_way_when_a_stop_began_says_nothing_of_what_came_after(quick: ClinicLife) -> None:
    """The network takes the rest of the burst; only a text of later may show that the trouble is over."""
    first, *rest = ready(quick, 5)

    def mend(sms: OutgoingSms) -> None:
        quick.network.config = TURNED_AWAY if sms.message_id == first.id else DEFAULT

    quick.gateway = Watched(quick.gateway, mend)
    quick.dispatch()
    assert {quick.fresh(text).state for text in rest} == {"sent"}
    assert sender(quick).paused_at == NOW
    quick.gateway = Watched(quick.gateway, lambda _: None)
    quick.network.config = DEFAULT
    quick.wait(minutes=1)
    assert sender(quick).pause_cause == "refused"


FOREIGN = "+12025559999"
"""A number that the network takes for one of a country that our account may not text."""


def test_one_text_that_is_turned_away_for_its_own_sake_does_not_keep_the_sender(life: ClinicLife) -> None:
    """The most urgent text of all is the culprit: the next one tries, the sender goes on, and only the culprit waits."""
    life.network.config = replace(DEFAULT, refused_numbers={FOREIGN: "21408"})
    others = ready(life, 5)
    stranger = life.patient(phone=FOREIGN)
    life.plan()
    culprit = life.message(stranger, due_at=NOW - HOUR, expires_at=NOW + 4 * HOUR, urgency="care", priority=1)
    life.dispatch()
    assert {life.fresh(text).state for text in others} == {"sent"}, "they were on their way"
    assert sender(life).pause_cause == "refused"
    later = ready(life, 10)
    life.wait(minutes=4)
    assert {life.fresh(text).state for text in later} == {"sent"}
    assert sender(life).paused_at is None
    life.wait(hours=3)
    assert sender(life).paused_at is None
    row = life.fresh(culprit)
    assert (row.state, row.held_reason) == ("planned", "sender_paused")
    assert row.attempts < 20
    assert [(task.kind, task.state) for task in life.tasks()] == [("sender_paused", "closed"), ("text_refused", "open")]
    life.network.config = DEFAULT
    life.wait(minutes=16)
    assert life.fresh(culprit).state == "sent"


# what a person stops


def test_what_a_person_stopped_is_never_tried(quick: ClinicLife) -> None:
    ready(quick, 3, expires_at=NOW + DAY)
    with quick.sessions.begin() as db:
        pause(db, reason="wrong texts", by="nurse", now=NOW)
    quick.wait(hours=8)
    assert quick.left() == []
    with quick.sessions.begin() as db:
        resume(db, by="nurse", now=quick.now)
    quick.dispatch()
    assert held(quick) == {("sent", None)}


def test_a_person_who_stops_everything_while_the_provider_is_down_has_the_last_word(life: ClinicLife) -> None:
    life.network.config = SILENT
    ready(life, 20)
    life.wait(minutes=1)
    assert sender(life).pause_cause == "down"
    with life.sessions.begin() as db:
        assert pause(db, reason="wrong texts", by="nurse", now=life.now)
    life.network.config = DEFAULT
    life.wait(hours=2)
    assert life.left() == []
    with life.sessions.begin() as db:
        ended = resume(db, by="nurse", now=life.now)
    assert ended == ["all sending (wrong texts)", "sender default (The provider does not answer.)"]
    life.wait(seconds=10)
    assert {state for state, _ in held(life)} == {"unconfirmed", "sent"}


def test_an_answer_that_crosses_a_persons_pause_does_not_end_it(
    quick: ClinicLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop was read before the person made it theirs, and is to be ended after that."""
    (text,) = ready(quick, 1)
    with quick.sessions.begin() as db:
        running.pause_all(db, at=NOW, reason="no answer", cause=Cause.DOWN)
    before = whole(quick)
    with quick.sessions.begin() as db:
        pause(db, reason="wrong texts", by="nurse", now=NOW)
    monkeypatch.setattr(running, "not_well", lambda *_: [before])
    with quick.sessions.begin() as db:
        learn(db, db.get_one(Message, text.id), Accepted("SM1"), since=NOW + MINUTE, now=NOW + MINUTE)
    assert whole(quick).pause_reason == "wrong texts"
    assert journal(quick, "resumed") == []


# silence


def test_a_provider_that_does_not_answer_is_left_alone_and_found_again(life: ClinicLife) -> None:
    """The burst that is under way is lost to doubt, and hardly anything after it."""
    life.network.config = replace(DEFAULT, outages=[Span(NOW, NOW + HOUR)])
    ready(life, 60)
    life.wait(minutes=59)
    assert BURST <= doubts(life) <= BURST + 2
    assert held(life, state="planned") == {("planned", "provider_down")}
    assert life.left() == []
    life.wait(minutes=4)
    assert sender(life).paused_at is None
    assert not life.messages(state="planned", kind="staff")
    assert len(life.left()) == 60 - doubts(life)
    (reason,) = journal(life, "resumed")
    assert reason == "sender default (The provider does not answer.): by itself, the provider takes texts again"


def test_an_outage_shows_wherever_people_look(life: ClinicLife) -> None:
    life.network.config = SILENT
    ready(life, 20)
    life.wait(seconds=10)
    with life.sessions() as db:
        found = reports.status(db, now=life.now)
    assert found["held"] == 5
    assert found["paused_senders"] == {
        "default": "The provider does not answer. It ends by itself; the next try is due at 15:00:30 UTC."
    }
    assert journal(life, "paused") == ["The provider does not answer."]


def test_four_in_a_row_are_no_outage_and_an_answer_begins_the_count_anew(quick: ClinicLife) -> None:
    quick.network.config = SILENT
    ready(quick, IN_A_ROW - 1)
    quick.dispatch()
    assert (sender(quick).troubles, whole(quick).troubles) == (IN_A_ROW - 1, IN_A_ROW - 1)
    ready(quick, 1)
    quick.network.config = replace(DEFAULT, busy=1.0)
    quick.dispatch()
    assert (sender(quick).troubles, whole(quick).troubles, sender(quick).paused_at) == (0, 0, None)


class Unreachable(Watched):
    """No connection comes about: certainly not sent."""

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        for message in messages:
            self._before(message)
            yield message, Refused(Blame.RETRY, UNREACHABLE, "Not reached.", "Nothing.")

    def texts_to(self, number: str | None, since: datetime) -> list[ListedSms]:
        raise AftercareError("The provider could not be reached.")


def test_a_provider_that_can_not_be_reached_is_left_alone_and_costs_no_doubt(life: ClinicLife) -> None:
    inner, tries = life.gateway, list[int]()
    life.gateway = Unreachable(inner, lambda sms: tries.append(sms.message_id))
    ready(life, 40)
    life.wait(minutes=20)
    assert doubts(life) == 0
    assert len(tries) == BURST
    assert held(life) == {("planned", "provider_down")}
    life.gateway = inner
    life.wait(minutes=4)
    assert held(life) == {("sent", None)}


def test_where_the_list_may_not_be_read_a_text_is_risked_now_and_then(quick: ClinicLife) -> None:
    """Something between us and the provider may keep lists from us: without a text that is risked, nothing would ever begin again."""
    inner = quick.gateway
    quick.network.config = SILENT
    ready(quick, 40)
    quick.gateway = Unlisted(inner, lambda _: None)
    quick.wait(minutes=5)
    assert doubts(quick) == BURST
    quick.network.config = DEFAULT
    quick.wait(minutes=25)
    assert sender(quick).paused_at is None
    assert len(quick.left()) == 40 - BURST


class Unlisted(Watched):
    error: type[AftercareError] = AftercareError

    def texts_to(self, number: str | None, since: datetime) -> list[ListedSms]:
        raise self.error("No list.")


class Forbidden(Unlisted):
    error = ListRefusedError


def test_who_answers_with_a_no_is_there(quick: ClinicLife) -> None:
    quick.network.config = SILENT
    ready(quick, 20)
    quick.gateway = Forbidden(quick.gateway, lambda _: None)
    quick.wait(seconds=10)
    quick.network.config = DEFAULT
    quick.wait(minutes=2)
    assert sender(quick).paused_at is None
    assert len(quick.left()) == 20 - BURST


def test_a_provider_that_shows_lists_and_takes_no_texts_costs_one_doubt_a_try(quick: ClinicLife) -> None:
    quick.network.config = SILENT
    ready(quick, 60)
    quick.wait(minutes=10)
    assert doubts(quick) == BURST + 6  # at half a minute, one and a half, and then every other minute


# one sender, and all


class SilentFor(Watched):
    """One sender's texts get no answer."""

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        for message in messages:
            if message.sender.number == SECOND_SENDER:
                yield message, Refused(Blame.RETRY, UNREACHABLE, "Not reached.", "Nothing.")
            else:
                yield from self._gateway.send_batch([message])


def test_one_senders_silence_never_stops_another(life: ClinicLife) -> None:
    two_senders(life)
    life.gateway = SilentFor(life.gateway, lambda _: None)
    ready(life, 20, sender_id=2)
    life.wait(seconds=10)
    assert sender(life, 2).pause_cause == "down"
    others = ready(life, 10)
    life.wait(seconds=1)
    assert {life.fresh(text).state for text in others} == {"sent"}
    assert (sender(life).paused_at, whole(life).paused_at) == (None, None)


def test_where_no_sender_gets_an_answer_all_stop_after_a_handful_of_texts_in_all(life: ClinicLife) -> None:
    """However many senders there are: they learn from each other."""
    with life.sessions.begin() as db:
        db.add_all(Sender(id=n, key=f"number-{n}", number=f"+1312555{n:04}") for n in range(2, 31))
    people = [life.patient() for _ in range(60)]
    life.plan()
    for n, patient in enumerate(people):
        life.message(patient, sender_id=1 + n // 2)
    life.network.config = replace(DEFAULT, outages=[Span(NOW, NOW + HOUR)])
    life.wait(minutes=50)
    assert whole(life).pause_cause == "down"
    assert IN_A_ROW <= doubts(life) <= 2 * IN_A_ROW
    assert held(life, state="planned") == {("planned", "provider_down")}
    life.wait(minutes=14)
    assert whole(life).paused_at is None
    assert {state for state, _ in held(life)} == {"unconfirmed", "sent"}


def test_a_sender_with_trouble_of_its_own_stays_stopped_when_the_others_go_on(life: ClinicLife) -> None:
    two_senders(life)
    inner = life.gateway
    life.gateway = SilentFor(inner, lambda _: None)
    ready(life, 20, sender_id=2)
    life.wait(seconds=10)
    life.network.config = SILENT
    ready(life, 20)
    life.wait(seconds=1)
    assert whole(life).pause_cause == "down", "one silent text of another sender, and nobody gets through any more"
    life.network.config = DEFAULT
    life.wait(minutes=2)
    assert whole(life).paused_at is None
    assert sender(life, 2).pause_cause == "down"
    assert not life.messages(state="planned", kind="staff", sender_id=1)
    life.gateway = inner
    life.wait(minutes=3)
    assert sender(life, 2).paused_at is None
    assert not life.messages(state="planned", kind="staff")


# staff


def test_an_outage_that_lasts_is_put_once_before_each_clinic_that_waits_and_closes_itself(life: ClinicLife) -> None:
    other = life.another_clinic()
    life.another_clinic()
    ready(life, 20)
    stranger = life.patient(of=other)
    life.plan()
    life.message(stranger, due_at=NOW + MINUTE)
    life.network.config = replace(DEFAULT, outages=[Span(NOW, NOW + HOUR)])
    life.wait(minutes=9)
    assert life.tasks("provider_down") == []
    life.wait(minutes=40)
    tasks = life.tasks("provider_down")
    assert {task.clinic_id for task in tasks} == {life.clinic.id, other.id}
    assert [(task.level, task.state) for task in tasks] == [("red", "open")] * 2
    assert "since 2026-03-02 15:00 UTC" in tasks[0].reason
    life.wait(minutes=15)
    assert {task.state for task in life.tasks("provider_down")} == {"closed"}


def test_a_short_outage_is_nobodys_work(quick: ClinicLife) -> None:
    quick.network.config = replace(DEFAULT, outages=[Span(NOW, NOW + 8 * MINUTE)])
    ready(quick, 20)
    quick.wait(minutes=20)
    assert quick.tasks("provider_down") == []
    assert sender(quick).paused_at is None


def test_an_outage_of_all_senders_that_is_over_leaves_open_what_is_one_senders_own(quick: ClinicLife) -> None:
    two_senders(quick)
    inner = quick.gateway
    quick.gateway = SilentFor(inner, lambda _: None)
    ready(quick, 20, sender_id=2, expires_at=NOW + DAY)
    quick.wait(minutes=12)
    quick.network.config = replace(DEFAULT, outages=[Span(quick.now, quick.now + 15 * MINUTE)])
    ready(quick, 20, expires_at=NOW + DAY)
    quick.wait(minutes=14)
    assert [task.state for task in quick.tasks("provider_down")] == ["open", "open"]
    quick.wait(minutes=5)
    assert sorted(task.state for task in quick.tasks("provider_down")) == ["closed", "open"]


# which text


def test_where_the_first_may_not_leave_the_next_tries(quick: ClinicLife) -> None:
    """What a last look holds back for its own sake says nothing of the provider."""
    quick.network.config = TURNED_AWAY
    texts = ready(quick, 3)
    quick.dispatch()
    quick.network.config = DEFAULT
    blocked = life_of(quick, texts[0])
    quick.change(blocked, paused_until=NOW + DAY)
    quick.sql("UPDATE patient SET marked = :no", no=False)
    quick.wait(minutes=1)
    assert sender(quick).paused_at is None


def life_of(life: ClinicLife, text: Message) -> Patient:
    """Whom a text is for."""
    (patient,) = life._all(select(Patient), Patient, {"id": text.patient_id})
    assert isinstance(patient, Patient)
    return patient


def test_where_no_text_may_leave_the_next_one_that_may_tries_soon(quick: ClinicLife) -> None:
    quick.network.config = TURNED_AWAY
    ready(quick, 3)
    quick.dispatch()
    quick.change(quick.clinic, paused_at=NOW)
    quick.network.config = DEFAULT
    quick.wait(minutes=20)
    assert (sender(quick).pause_cause, sender(quick).probes) == ("refused", 0)
    assert held(quick) == {("planned", "clinic_paused")}
    quick.change(quick.clinic, paused_at=None)
    (text,) = ready(quick, 1)
    quick.wait(minutes=1)
    assert quick.fresh(text).state == "sent"
    assert sender(quick).paused_at is None


# a stop that ends at the same moment


DOWN_SINCE = NOW - MINUTE
ENDED_BY_ITSELF = "by itself, the provider takes texts again"


def stopped(life: ClinicLife, reach: Reach) -> None:
    """The provider does not answer; the next try is due in a while."""
    with life.sessions.begin() as db:
        values = {"paused_at": DOWN_SINCE, "pause_reason": "no answer", "pause_cause": "down", "probe_at": NOW + MINUTE}
        db.execute(update(Installation if reach is Reach.ALL else Sender).values(values))


def answered(life: ClinicLife, db: Session, text: Message) -> None:
    """A text that was on its way since the stop began was taken."""
    learn(db, db.get_one(Message, text.id), Accepted("SM1"), since=NOW, now=NOW)


def resumed(life: ClinicLife, db: Session, _: Message) -> None:
    resume(db, by="nurse", now=life.now)


OWN = select(Message).where(Message.kind == "staff", Message.state == "planned")
End = Callable[[ClinicLife, Session, Message], None]
BY_WHOM = pytest.mark.parametrize("end", [answered, resumed], ids=["an answer", "a person"])


@ON_POSTGRESQL
@BY_WHOM
@pytest.mark.parametrize("reach", Reach)
def test_what_is_just_being_held_is_let_go_of_by_who_ends_the_stop(life: ClinicLife, reach: Reach, end: End) -> None:
    """Else it would wait for a quarter of an hour, though nothing is stopped any more."""
    text, other = ready(life, 2)
    life.change(other, state="sent", sent_at=NOW)
    stopped(life, reach)

    def go_on() -> None:
        with life.sessions.begin() as db:
            end(life, db, other)

    with ThreadPoolExecutor(1) as pool, life.sessions() as watcher:
        with life.sessions.begin() as worker:
            claim_and_compose(worker, 1, now=life.now, policy=life.policy)
            assert [(m.held_reason, m.attempt_at) for m in worker.scalars(OWN)] == [("provider_down", NOW + HELD_FOR)]
            ended = pool.submit(go_on)
            while not watcher.scalar(WAITING):
                assert not ended.done(), "who ends the stop did not wait"
                watcher.rollback()
        ended.result()
    row = life.fresh(text)
    assert (row.state, row.held_reason, row.attempt_at) == ("planned", None, NOW)
    life.dispatch()
    assert life.fresh(text).state == "sent"


@ON_POSTGRESQL
@BY_WHOM
def test_who_finds_a_stop_that_is_just_being_ended_holds_nothing(life: ClinicLife, end: End) -> None:
    text, other = ready(life, 2)
    life.change(other, state="sent", sent_at=NOW)
    stopped(life, Reach.ALL)
    with ThreadPoolExecutor(1) as pool, life.sessions() as watcher:
        with life.sessions.begin() as db:
            end(life, db, other)
            worker = pool.submit(life.dispatch)
            while not watcher.scalar(WAITING):
                assert not worker.done(), "the worker did not wait"
                watcher.rollback()
        worker.result()
    assert life.fresh(text).state == "sent"
    assert "held" not in dict(life.story(text))


@ON_POSTGRESQL
def test_a_person_who_resumes_and_a_worker_that_counts_silence_never_wait_for_each_other(life: ClinicLife) -> None:
    """Both take the sender first and the installation then: else the database would break one of them off."""
    stopped(life, Reach.SENDER)
    stopped(life, Reach.ALL)

    def go_on() -> list[str]:
        with life.sessions.begin() as db:
            return resume(db, by="nurse", now=life.now)

    with ThreadPoolExecutor(1) as pool, life.sessions() as watcher:
        with life.sessions.begin() as worker:
            worker.execute(update(Sender).values(troubles=1))
            ended = pool.submit(go_on)
            while not watcher.scalar(WAITING):
                assert not ended.done(), "the person did not wait"
                watcher.rollback()
            running.count_silence(worker, 1)
        assert ended.result() == ["all sending (no answer)", "sender default (no answer)"]
    assert (sender(life).paused_at, whole(life).paused_at) == (None, None)


@pytest.mark.parametrize("of_sender", [False, True], ids=["the sender is well", "the sender is stopped, too"])
def test_a_stop_that_ended_after_it_was_read_holds_nothing(
    quick: ClinicLife, monkeypatch: pytest.MonkeyPatch, *, of_sender: bool
) -> None:
    """The stop of all ends between the look at it and the claim to try it out; what the sender is stopped for goes on."""
    (text,) = ready(quick, 1)
    stopped(quick, Reach.ALL)
    if of_sender:
        stopped(quick, Reach.SENDER)

    def ended_meanwhile(db: Session, *, now: datetime) -> Installation | None:
        # Behind the back of what this transaction has read.
        db.connection().execute(update(Installation).values(paused_at=None, pause_cause=None, probe_at=None))
        return claim_try(db, now=now)

    claim_try = running.claim_try
    monkeypatch.setattr(running, "claim_try", ended_meanwhile)
    with quick.sessions() as db:
        found = gate(db, db.get_one(Sender, 1), now=quick.now, has_answered=False)
        assert found == Gate(Way.HELD if of_sender else Way.FREE)
    quick.dispatch()
    row = quick.fresh(text)
    assert (row.state, row.held_reason) == (("planned", "provider_down") if of_sender else ("sent", None))


# clocks


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("reach", Reach)
def test_a_stop_that_a_clock_dated_hours_ahead_is_tried_out_and_ends_by_itself(
    life: ClinicLife, reach: Reach, cause: Cause
) -> None:
    """What it holds already is let go of with the first text that gets through: it does not wait for the wrong hour."""
    ahead = NOW + 5 * HOUR
    held_then, *due = ready(life, 4)
    shown = {Cause.DOWN: "provider_down", Cause.REFUSED: "paused" if reach is Reach.ALL else "sender_paused"}[cause]
    life.change(held_then, held_reason=shown, attempt_at=ahead + HELD_FOR)
    with life.sessions.begin() as db:
        stop_for(db, reach, sender_id=1, cause=cause, reason="no answer", now=ahead)
    row = whole(life) if reach is Reach.ALL else sender(life)
    assert (row.paused_at, row.probe_at) == (ahead, ahead + tried_after(cause, 0))

    life.dispatch()
    assert len(life.left()) == 1, "one text tries it out"
    row = whole(life) if reach is Reach.ALL else sender(life)
    assert (row.paused_at, row.pause_cause, row.probe_at, row.probes) == (None, None, None, 0)
    assert [reason and reason.endswith(ENDED_BY_ITSELF) for reason in journal(life, "resumed")] == [True]
    life.wait(seconds=2)
    assert {life.fresh(text).state for text in [held_then, *due]} == {"sent"}


@pytest.mark.parametrize("reach", Reach)
def test_a_stop_that_a_clock_dated_hours_ahead_is_tried_as_rarely_as_any_other(life: ClinicLife, reach: Reach) -> None:
    life.network.config = TURNED_AWAY if reach is Reach.SENDER else life.network.config
    ready(life, 5)
    if reach is Reach.ALL:
        life.network.config = all_refused(life, "20003")
    with life.sessions.begin() as db:
        stop_for(db, reach, sender_id=1, cause=Cause.REFUSED, reason="no", now=NOW + 5 * HOUR)
    life.wait(minutes=13)
    assert [(at - NOW) / MINUTE for at in tried_at(life, after=NOW - MINUTE)] == [0, 2, 6]


# an answer that something overtook


class Overtaken(Watched):
    """The network takes each text, and then something happens before anybody can write that down."""

    def send_batch(self, messages: Sequence[OutgoingSms]) -> Iterator[tuple[OutgoingSms, Outcome]]:
        for message in messages:
            handed_over = list(self._gateway.send_batch([message]))
            self._before(message)
            yield from handed_over


def reported(life: ClinicLife, sms: OutgoingSms) -> None:
    (sid,) = (sid for sid, taken in life.network.accepted.items() if taken.text.message_id == sms.message_id)
    receive_receipt(life.sessions, said("delivered", sid=sid, mid=sms.message_id), life.clock)


def rescued(life: ClinicLife, _: OutgoingSms) -> None:
    life.now += STALE + SECOND
    assert rescue_stale_claims(life.sessions, life.clock) == 1


OVERTAKEN = pytest.mark.parametrize("meanwhile", [reported, rescued], ids=["a callback", "the rescue of its claim"])


@OVERTAKEN
def test_an_acceptance_that_was_overtaken_ends_silence(
    life: ClinicLife, meanwhile: Callable[[ClinicLife, OutgoingSms], None]
) -> None:
    life.network.config = SILENT
    ready(life, IN_A_ROW - 1)
    life.dispatch()
    life.network.config = DEFAULT
    life.gateway = Overtaken(life.gateway, partial(meanwhile, life))
    (text,) = ready(life, 1)
    life.dispatch()
    assert life.fresh(text).state in {"sent", "delivered"}
    assert (sender(life).troubles, whole(life).troubles) == (0, 0)


@OVERTAKEN
@pytest.mark.parametrize("reach", Reach)
def test_an_acceptance_that_was_overtaken_ends_a_stop(
    life: ClinicLife, reach: Reach, meanwhile: Callable[[ClinicLife, OutgoingSms], None]
) -> None:
    texts = ready(life, 3)
    with life.sessions.begin() as db:
        stop_for(db, reach, sender_id=1, cause=Cause.REFUSED, reason="no", now=NOW - MINUTE)
    inner = life.gateway
    life.gateway = Overtaken(inner, partial(meanwhile, life))
    life.dispatch()
    assert len(life.left()) == 1
    assert (sender(life).paused_at, whole(life).paused_at) == (None, None)
    life.gateway = inner
    life.wait(seconds=1)
    assert {life.fresh(text).state for text in texts} <= {"sent", "delivered"}


def test_of_many_workers_one_tries_with_one_text(life: ClinicLife) -> None:
    two_senders(life)
    life.network.config = all_refused(life, "20003")
    ready(life, 4)
    ready(life, 4, sender_id=2)
    life.network.config = all_refused(life, "20003")
    life.dispatch()
    life.dispatch()
    assert whole(life).pause_cause == "refused"
    life.now += MINUTE
    start = Barrier(8)

    def work(_: int) -> None:
        start.wait()
        dispatch_due(life.sessions, life.gateway, life.clock, life.policy)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(tried_at(life, after=NOW)) == 1
