"""What the provider reports on our texts moves them forward, never back, and what it means for others happens once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Receipt
from service.flows import delivery, receipts
from service.flows.receipts import apply_pending, poll_receipts, receive_receipt
from service.store import content, inbox, messages
from service.store.tables import (
    Clinic,
    Consent,
    Installation,
    JournalEntry,
    Message,
    PhoneNumber,
    RawReceipt,
    SendAttempt,
    Sender,
    Task,
)
from tests.fakes.scripted_gateway import ScriptedGateway, said
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
LATER = NOW + timedelta(minutes=10)
RANK = {"planned": 0, "sending": 1, "unconfirmed": 1, "sent": 2, "delivered": 3, "undelivered": 3, "failed": 3}


def later() -> datetime:
    return LATER


@dataclass(frozen=True)
class Text:
    """A text in a database, and what became of it."""

    sessions: Sessions
    id: int

    def hear(self, *receipts: Receipt) -> None:
        for receipt in receipts:
            receive_receipt(self.sessions, receipt, later)

    def row(self) -> Message:
        with self.sessions() as db:
            return db.get_one(Message, self.id)

    @property
    def state(self) -> str:
        return self.row().state

    def attempts(self) -> list[SendAttempt]:
        with self.sessions() as db:
            return list(
                db.scalars(select(SendAttempt).where(SendAttempt.message_id == self.id).order_by(SendAttempt.n))
            )

    def story(self) -> list[JournalEntry]:
        with self.sessions() as db:
            of_text = select(JournalEntry).where(JournalEntry.message_id == self.id)
            return list(db.scalars(of_text.order_by(JournalEntry.id)))

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.story()]

    def tasks(self) -> list[Task]:
        return every(self.sessions, Task)


def every(sessions: Sessions, table: type[Any]) -> list[Any]:
    with sessions() as db:
        return list(db.scalars(select(table).order_by(table.__table__.primary_key.columns[0])))


def a_text(
    sessions: Sessions,
    *,
    state: str = "sent",
    sids: tuple[str | None, ...] = ("SM1",),
    outcomes: tuple[str | None, ...] = ("accepted",),
    **over: Any,
) -> Text:
    """A reminder of the day before, handed over as often as there are ``sids``."""
    with sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        content.ensure_seeded(db, patient.clinic_id, now=NOW)
        booked = factories.session(db, patient)
        messages.lock_numbers(db, [str(patient.phone)])
        values: dict[str, Any] = {
            "identity": f"plan:{booked.id}:pre_1d:0",
            "kind": "plan",
            "step": "pre_1d",
            "template": "pre_1d",
            "session_id": booked.id,
            "state": state,
            "attempts": len(sids),
            "to_number": patient.phone,
            "provider_sid": sids[-1] if sids else None,
            "sent_at": NOW if state in {"sent", "unconfirmed"} else None,
            "segments": 1,
        }
        if state == "sending":
            values |= {"claim_token": "t", "claimed_at": NOW}
        row = factories.message(db, patient, **values | over)
        for n, (sid, outcome) in enumerate(zip(sids, outcomes, strict=True), start=1):
            at = NOW + timedelta(minutes=n)
            factories.attempt(
                db, row, n=n, number=patient.phone, provider_sid=sid, outcome=outcome, started_at=at, finished_at=None
            )
        return Text(sessions, row.id)


# --- How far a text has come --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "receipt", "after"),
    [
        pytest.param("sent", said("queued"), "sent", id="queued says nothing new"),
        pytest.param("sent", said("sent"), "sent", id="with the carrier"),
        pytest.param("sent", said("delivered"), "delivered", id="arrived"),
        pytest.param("sent", said("undelivered", code="30004"), "undelivered", id="carrier blocks it"),
        pytest.param("sent", said("failed", code="30036"), "failed", id="waited too long at the provider"),
        pytest.param("sent", said("canceled"), "failed", id="cancelled at the provider"),
        pytest.param("sent", said("something new"), "sent", id="a word nobody knows"),
        pytest.param("delivered", said("sent"), "delivered", id="sent comes after delivered"),
        pytest.param("delivered", said("undelivered", code="30004"), "delivered", id="failure comes after delivered"),
        pytest.param("undelivered", said("sent"), "undelivered", id="sent comes after the failure"),
        pytest.param("unconfirmed", said("sent"), "sent", id="doubt ends: with the carrier"),
        pytest.param("unconfirmed", said("delivered"), "delivered", id="doubt ends: arrived"),
        pytest.param("sending", said("sent"), "sent", id="quicker than the settle"),
        pytest.param("sending", said("delivered"), "delivered", id="arrived before the settle"),
        pytest.param("planned", said("delivered"), "delivered", id="arrived while another try is planned"),
        pytest.param("planned", said("sent"), "planned", id="sent says nothing while another try is planned"),
        pytest.param("cancelled", said("delivered"), "cancelled", id="cancelled stays cancelled"),
        pytest.param("missed", said("delivered"), "missed", id="missed stays missed"),
    ],
)
def test_a_report_moves_a_text_forward_only(sessions: Sessions, state: str, receipt: Receipt, after: str) -> None:
    one = a_text(sessions, state=state)
    one.hear(receipt)
    row = one.row()
    assert row.state == after
    assert (row.settled_at == LATER) is (after != state)
    assert one.kinds().count("receipt") == 1


def test_the_same_report_twice_changes_nothing(sessions: Sessions) -> None:
    one = a_text(sessions)
    assert receive_receipt(sessions, said("delivered"), later) is True
    assert receive_receipt(sessions, said("delivered"), later) is False
    assert one.kinds() == ["receipt"]
    assert len(every(sessions, RawReceipt)) == 1


def test_a_report_that_is_worked_in_again_changes_nothing(sessions: Sessions) -> None:
    one = a_text(sessions)
    for _ in range(2):
        with sessions.begin() as db:
            assert delivery.apply_receipt(db, said("undelivered", code="30003"), now=LATER)
    assert one.kinds() == ["receipt", "retry"]


def test_a_report_keeps_what_the_provider_said(sessions: Sessions) -> None:
    one = a_text(sessions)
    one.hear(said("undelivered", code="30004"))
    (raw,) = every(sessions, RawReceipt)
    assert (raw.status, raw.error_code, raw.applied_at) == ("undelivered", "30004", LATER)
    assert raw.fields["ErrorCode"] == "30004"
    (entry,) = one.story()
    assert entry.reason == "The number or its carrier blocks our texts. (30004)"
    assert entry.data == {"word": "undelivered", "state": "undelivered", "attempt": 1}
    assert entry.outside_key == "receipt:SM1:undelivered:30004"


WORDS = {
    "queued": said("queued"),
    "sending": said("sending"),
    "sent": said("sent"),
    "delivered": said("delivered"),
    "number is dead": said("undelivered", code="30005"),
    "phone is off": said("undelivered", code="30003"),
    "provider failed": said("failed", code="30036"),
}
FINAL = {"delivered": "delivered", "number is dead": "undelivered", "provider failed": "failed"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.sampled_from(sorted(set(WORDS) - {"phone is off"})), max_size=8))
def test_in_any_order_a_text_never_goes_back(sqlite_sessions: Sessions, order: list[str]) -> None:
    """The first final report decides; whatever comes after it, again or late, changes nothing."""
    one = fresh(sqlite_sessions)
    seen = [one.state]
    for word in order:
        one.hear(_about(one, WORDS[word]))
        seen.append(one.state)
    assert [RANK[state] for state in seen] == sorted(RANK[state] for state in seen)
    assert seen[-1] == next((FINAL[word] for word in order if word in FINAL), "sent")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(["queued", "sending", "sent", "delivered", "phone is off", "phone is off"]))
def test_a_text_that_arrived_has_arrived_in_any_order(sqlite_sessions: Sessions, order: list[str]) -> None:
    one = fresh(sqlite_sessions)
    one.hear(*(_about(one, WORDS[word]) for word in order))
    assert one.state == "delivered"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(["queued", "sent", "delivered"]), settled=st.booleans())
def test_a_lost_answer_is_made_good_in_any_order(sqlite_sessions: Sessions, order: list[str], *, settled: bool) -> None:
    state, outcome = ("unconfirmed", "unknown") if settled else ("sending", None)
    one = fresh(sqlite_sessions, state=state, sids=(None,), outcomes=(outcome,))
    one.hear(*(_about(one, WORDS[word], mid=one.id) for word in order))
    row = one.row()
    assert (row.state, row.provider_sid, row.claim_token) == ("delivered", f"SM-{one.id}", None)


def fresh(sessions: Sessions, *, sids: tuple[str | None, ...] = ("SM",), **over: Any) -> Text:
    """A text of its own in a database that holds others, under an id of its own."""
    one = a_text(sessions, sids=sids, **over)
    with sessions.begin() as db:
        row, attempts = (
            db.get_one(Message, one.id),
            db.scalars(select(SendAttempt).where(SendAttempt.message_id == one.id)),
        )
        if sids[-1] is not None:
            row.provider_sid = next(attempts).provider_sid = f"SM-{one.id}"
    return one


def _about(one: Text, receipt: Receipt, *, mid: int | None = None) -> Receipt:
    code = receipt.failure.code if receipt.failure else ""
    return said(receipt.word, sid=f"SM-{one.id}", code=code, mid=mid)


# --- Which text is meant ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        pytest.param("sending", None, id="before the answer was settled"),
        pytest.param("unconfirmed", "unknown", id="the answer was lost"),
        pytest.param("planned", "refused", id="it was held to be proven that it had not left"),
    ],
)
def test_our_own_id_brings_the_provider_s(sessions: Sessions, state: str, outcome: str | None) -> None:
    one = a_text(sessions, state=state, sids=(None,), outcomes=(outcome,))
    one.hear(said("queued", mid=one.id))
    row, (attempt,) = one.row(), one.attempts()
    assert (row.state, row.provider_sid, row.claim_token) == ("sent", "SM1", None)
    assert row.sent_at == attempt.started_at == NOW + timedelta(minutes=1)
    assert (attempt.provider_sid, attempt.outcome, attempt.finished_at) == ("SM1", "accepted", LATER)
    assert one.kinds() == ["sent", "receipt"]


def test_a_settle_that_comes_late_changes_nothing(sessions: Sessions) -> None:
    one = a_text(sessions, state="sending", sids=(None,), outcomes=(None,))
    one.hear(said("delivered", mid=one.id))
    with sessions.begin() as db:
        assert not messages.settle(db, one.id, token="t", values={"state": "sent"})
    assert one.state == "delivered"


def test_staff_need_not_find_out_any_more(sessions: Sessions) -> None:
    one = a_text(sessions, state="unconfirmed", sids=(None,), outcomes=("unknown",))
    with sessions.begin() as db:
        clinic = db.get_one(Message, one.id).clinic_id
        task = Task(clinic_id=clinic, identity=f"unconfirmed:{one.id}:1", kind="unconfirmed", due_at=NOW, state="open")
        db.add(task)
    one.hear(said("sent", mid=one.id))
    (task,) = one.tasks()
    assert (task.state, task.closed_at) == ("closed", LATER)


def test_a_provider_s_id_on_the_message_alone_is_enough(sessions: Sessions) -> None:
    one = a_text(sessions, sids=(), outcomes=(), provider_sid="SM1")
    one.hear(said("delivered"))
    assert one.state == "delivered"


def test_a_report_on_nobody_s_text_is_kept(sessions: Sessions) -> None:
    one = a_text(sessions)
    assert receive_receipt(sessions, said("delivered", sid="SM9", mid=one.id + 1), later)
    (raw,) = every(sessions, RawReceipt)
    assert (raw.provider_sid, raw.applied_at, one.state) == ("SM9", LATER, "sent")
    assert one.kinds() == []


@pytest.mark.parametrize(
    ("receipt", "state"),
    [
        pytest.param(said("undelivered", sid="SM1", code="30004"), "sent", id="an old failure says nothing"),
        pytest.param(said("sent", sid="SM1"), "sent", id="an old report says nothing"),
        pytest.param(said("delivered", sid="SM1"), "delivered", id="the first try arrived after all"),
        pytest.param(said("undelivered", sid="SM2", code="30004"), "undelivered", id="the second try failed"),
    ],
)
def test_of_an_earlier_try_only_success_counts(sessions: Sessions, receipt: Receipt, state: str) -> None:
    one = a_text(sessions, sids=("SM1", "SM2"), outcomes=("accepted", "accepted"))
    one.hear(receipt)
    assert one.state == state


def test_a_first_try_held_for_not_sent_is_found_out_by_its_report(sessions: Sessions) -> None:
    one = a_text(sessions, sids=(None, "SM2"), outcomes=("unknown", "accepted"))
    one.hear(said("sent", sid="SM1", mid=one.id))
    first, second = one.attempts()
    assert (first.provider_sid, first.outcome, second.provider_sid) == ("SM1", "accepted", "SM2")
    assert (one.state, one.row().provider_sid) == ("sent", "SM2")


@pytest.mark.parametrize(
    ("state", "second", "third_id"),
    [
        pytest.param("sent", ("SM2", "accepted"), "SM1", id="the second try left, too"),
        pytest.param(
            "unconfirmed", (None, "unknown"), "SM1", id="the second try may have left, and this is the second"
        ),
        pytest.param("sending", (None, None), "SM1", id="the second try is under way, and this may be it"),
    ],
)
def test_a_text_sent_again_that_had_left_before_is_a_matter_for_a_person(
    sessions: Sessions, state: str, second: tuple[str | None, str | None], third_id: str
) -> None:
    """Proven not sent, sent again, and then the provider reports on both."""
    sid, outcome = second
    one = a_text(sessions, state=state, sids=(None, sid), outcomes=("refused", outcome))
    one.hear(said("sent", sid=third_id, mid=one.id))
    if sid is None:
        assert one.tasks() == [], "one id for two tries: it is taken for the later one's"
        one.hear(said("sent", sid="SM2", mid=one.id))
    (task,) = one.tasks()
    assert (task.kind, task.level, task.message_id) == ("sent_twice", "red", one.id)
    assert {attempt.provider_sid for attempt in one.attempts()} == {"SM1", "SM2"}
    assert {attempt.outcome for attempt in one.attempts()} == {"accepted"}
    assert one.state == "sent"


def test_a_first_try_that_had_left_ends_all_further_ones(sessions: Sessions) -> None:
    """The second was refused as one too many at once, and waits to be tried again."""
    one = a_text(sessions, state="planned", sids=(None, None), outcomes=("refused", "refused"))
    with sessions.begin() as db:
        db.execute(update(SendAttempt).where(SendAttempt.n == 1).values(outcome="unknown"))
    one.hear(said("sent", sid="SM1", mid=one.id))
    row = one.row()
    assert (row.state, row.provider_sid, row.held_reason) == ("sent", "SM1", None)
    assert one.tasks() == []
    one.hear(said("delivered", sid="SM1", mid=one.id))
    assert one.state == "delivered"


@pytest.mark.parametrize("state", ["cancelled", "missed"])
def test_what_ended_as_not_sent_and_had_left_is_put_before_staff(sessions: Sessions, state: str) -> None:
    one = a_text(sessions, state=state, sids=(None,), outcomes=("refused",))
    one.hear(said("sent", mid=one.id), said("delivered", mid=one.id))
    assert one.state == state
    (task,) = one.tasks()
    assert (task.kind, task.level) == ("left_after_all", "amber")
    assert state in task.reason


def test_what_a_person_decided_is_not_told_again_by_the_receipt(sessions: Sessions) -> None:
    one = a_text(sessions, state="sent", sids=(None,), outcomes=("accepted",))
    one.hear(said("delivered", mid=one.id))
    assert one.kinds() == ["receipt"]
    assert (one.state, one.attempts()[0].provider_sid) == ("delivered", "SM1")


@pytest.mark.parametrize("state", ["unconfirmed", "planned", "sending"])
def test_an_id_says_that_it_left_even_with_a_word_that_nobody_knows(sessions: Sessions, state: str) -> None:
    one = a_text(sessions, state=state, sids=(None,), outcomes=("unknown",))
    one.hear(said("teleported", mid=one.id))
    row = one.row()
    assert (row.state, row.provider_sid, row.claim_token, row.claimed_at) == ("sent", "SM1", None, None)


def test_a_third_id_for_two_tries_is_noted_only(sessions: Sessions) -> None:
    one = a_text(sessions, sids=("SM1", "SM2"), outcomes=("accepted", "accepted"))
    one.hear(said("undelivered", sid="SM3", code="30008", mid=one.id))
    assert one.state == "sent"
    assert one.story()[0].data["attempt"] is None


# --- Segments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "billed", "differs"),
    [
        pytest.param(1, 1, False, id="as we count"),
        pytest.param(1, 2, True, id="one more than we count"),
        pytest.param(None, 2, False, id="we did not count"),
    ],
)
def test_segments_as_billed(sessions: Sessions, ours: int | None, billed: int, *, differs: bool) -> None:
    one = a_text(sessions, segments=ours)
    one.hear(said("sent", segments=billed), said("delivered", segments=billed))
    assert one.row().billed_segments == billed
    assert one.kinds().count("segments_differ") == differs


# --- Failures -----------------------------------------------------------------------------------------------------


def test_a_phone_that_was_off_is_tried_once_more(sessions: Sessions) -> None:
    one = a_text(sessions)
    one.hear(said("undelivered", code="30003"))
    row = one.row()
    assert (row.state, row.held_reason, row.reason, row.provider_sid) == ("planned", "retry", None, None)
    assert row.attempt_at is not None
    assert timedelta(hours=2) <= row.attempt_at - LATER <= timedelta(hours=2.5)
    assert one.kinds() == ["receipt", "retry"]
    assert one.attempts()[0].code == "30003"
    assert one.tasks() == []


def test_the_first_try_s_failure_again_leaves_the_second_alone(sessions: Sessions) -> None:
    one = a_text(sessions)
    one.hear(said("undelivered", code="30003"), said("failed", code="30003"))
    assert one.state == "planned"
    assert one.kinds() == ["receipt", "retry", "receipt"]


def test_a_text_that_has_failed_for_good_is_not_tried_again(sessions: Sessions) -> None:
    one = a_text(sessions)
    one.hear(said("undelivered", code="30007"), said("failed", code="30003"))
    assert one.state == "undelivered"


@pytest.mark.parametrize(
    ("over", "tells_staff"),
    [
        pytest.param({"sids": ("SM0", "SM1"), "outcomes": ("accepted", "accepted")}, True, id="tried often enough"),
        pytest.param({"expires_at": LATER + timedelta(hours=2)}, True, id="useless by then"),
        pytest.param({"step": "d3"}, False, id="a question: nobody phones for it"),
        pytest.param({"step": None, "template": "help", "kind": "reply"}, False, id="an answer of ours"),
    ],
)
def test_a_phone_that_stays_off_is_phoned(sessions: Sessions, over: Mapping[str, Any], *, tells_staff: bool) -> None:
    one = a_text(sessions, **{"expires_at": LATER} | dict(over))
    one.hear(said("undelivered", code="30003"))
    assert one.state == "undelivered"
    assert [task.kind for task in one.tasks()] == ["missed_text"] * tells_staff


def test_a_try_without_a_last_useful_moment_is_repeated(sessions: Sessions) -> None:
    one = a_text(sessions, expires_at=None)
    one.hear(said("undelivered", code="30003"))
    assert one.state == "planned"


def test_a_failure_is_noted_also_where_the_facts_about_the_patient_can_not_be_used(sessions: Sessions) -> None:
    one = a_text(sessions, expires_at=LATER)
    with sessions.begin() as db:
        db.execute(update(Clinic).values(time_zone="Nowhere/Land"))
    one.hear(said("undelivered", code="30003"))
    assert (one.state, one.tasks()) == ("undelivered", [])


def test_a_text_for_nobody_we_know_just_fails(sessions: Sessions) -> None:
    one = a_text(sessions, patient_id=None, session_id=None, sids=("SM0", "SM1"), outcomes=("accepted", "accepted"))
    one.hear(said("undelivered", code="30003"))
    assert (one.state, one.tasks()) == ("undelivered", [])


def test_a_text_cancelled_at_the_provider_is_put_before_staff(sessions: Sessions) -> None:
    one = a_text(sessions)
    one.hear(said("canceled"))
    assert (one.state, one.row().reason) == ("failed", None)
    assert [task.kind for task in one.tasks()] == ["missed_text"]


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        pytest.param("30005", {"number_refused", "missed_text"}, id="not in use"),
        pytest.param("30006", {"number_refused", "missed_text"}, id="a landline"),
        pytest.param("30007", {"text_refused"}, id="filtered"),
        pytest.param("99999", {"text_refused"}, id="a code nobody knows"),
        pytest.param("21610", {"opted_out_at_provider", "missed_text"}, id="opted out"),
        pytest.param("30034", {"sender_paused", "missed_text"}, id="our number is not registered"),
        pytest.param("30002", {"all_paused", "missed_text"}, id="our account is suspended"),
    ],
)
def test_staff_are_told_once_what_a_failure_means(sessions: Sessions, code: str, kinds: set[str]) -> None:
    one = a_text(sessions)
    one.hear(said("failed", code=code), said("failed", code=code), said("undelivered", code=code))
    assert {task.kind for task in one.tasks()} == kinds
    assert one.state == "failed"


def test_a_number_that_takes_no_texts_gets_no_more(sessions: Sessions) -> None:
    one = a_text(sessions)
    one.hear(said("undelivered", code="30006"))
    (number,) = every(sessions, PhoneNumber)
    assert (number.blocked_at, number.blocked_code) == (LATER, "30006")


def test_a_refusal_for_an_opt_out_enters_the_ledger(sessions: Sessions) -> None:
    one = a_text(sessions)
    with sessions.begin() as db:
        message = db.get_one(Message, one.id)
        waiting = Message(
            clinic_id=message.clinic_id,
            identity="plan:9:aftercare_1:0",
            kind="plan",
            patient_id=message.patient_id,
            urgency="care",
            priority=1,
            sender_id=1,
            state="planned",
            attempt_at=NOW,
        )
        db.add(waiting)
    one.hear(said("failed", code="21610"))
    (entry,) = every(sessions, Consent)
    assert (entry.kind, entry.method, entry.sender_id, entry.number) == ("revoked", "provider", 1, one.row().to_number)
    assert [(row.state, row.reason) for row in every(sessions, Message)] == [
        ("failed", "The patient has opted out, or Twilio knows that the number has changed hands. (21610)"),
        ("cancelled", "opted_out"),
    ]


@pytest.mark.parametrize(("code", "table"), [("30034", Sender), ("30002", Installation)], ids=["sender", "account"])
def test_a_sender_or_account_that_cannot_send_is_paused(sessions: Sessions, code: str, table: type[Any]) -> None:
    a_text(sessions).hear(said("failed", code=code))
    paused = every(sessions, table)[0]
    assert paused.paused_at == LATER
    assert code in (paused.pause_reason or "")


def test_what_arrived_blames_nobody(sessions: Sessions) -> None:
    one = a_text(sessions)
    one.hear(said("delivered"), said("undelivered", code="30005"))
    assert (one.state, one.tasks()) == ("delivered", [])
    assert every(sessions, PhoneNumber)[0].blocked_at is None


# --- A fault of our own -------------------------------------------------------------------------------------------


def test_a_fault_keeps_the_report_and_the_tick_repeats(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = a_text(sessions)
    with monkeypatch.context() as broken:
        broken.setattr(delivery, "_compare_segments", broken_once)
        one.hear(said("delivered"))
    assert (one.state, one.kinds()) == ("sent", [])
    (raw,) = every(sessions, RawReceipt)
    assert (raw.applied_at, raw.failures) == (None, 1)
    assert apply_pending(sessions, ScriptedGateway(), later) == 1
    assert apply_pending(sessions, ScriptedGateway(), later) == 0
    assert one.state == "delivered"


def broken_once(*_: object) -> None:
    raise ZeroDivisionError


CUT = Exception("server closed the connection unexpectedly")


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        pytest.param(OperationalError("UPDATE", None, CUT), 0, id="the database is away"),
        pytest.param(InternalError("UPDATE", None, CUT, connection_invalidated=True), 0, id="cut, by another name"),
        pytest.param(InternalError("UPDATE", None, CUT), 1, id="the statement itself is wrong"),
    ],
)
def test_a_report_is_put_off_while_the_database_is_away_and_that_is_no_failure(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, error: Exception, failures: int
) -> None:
    one = a_text(sessions)

    def cut(*_: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(delivery, "_compare_segments", cut)
        one.hear(said("delivered"))
        for _ in range(2 * inbox.TRIES * (failures == 0)):
            assert apply_pending(sessions, ScriptedGateway(), later) == 0
    (raw,) = every(sessions, RawReceipt)
    assert (raw.applied_at, raw.failures, one.state, one.tasks()) == (None, failures, "sent", [])
    assert apply_pending(sessions, ScriptedGateway(), later) == 1
    assert one.state == "delivered"


@pytest.mark.parametrize("sid", ["SM1", "SM9"], ids=["our text: a person looks", "nobody's text"])
def test_what_fails_twice_waits_for_a_person(sessions: Sessions, monkeypatch: pytest.MonkeyPatch, sid: str) -> None:
    one = a_text(sessions)
    monkeypatch.setattr("service.flows.receipts.apply_receipt", lambda *_, **__: broken_once())
    one.hear(said("delivered", sid=sid))
    gateway = ScriptedGateway()
    assert [apply_pending(sessions, gateway, later) for _ in range(3)] == [0, 0, 0]
    (raw,) = every(sessions, RawReceipt)
    assert raw.failures == 2
    assert [(task.kind, task.level) for task in one.tasks()] == [("receipt_failed", "red")] * (sid == "SM1")


def test_a_report_that_cannot_be_read_back_stops_no_other(sessions: Sessions) -> None:
    one = a_text(sessions)
    with sessions.begin() as db:
        db.add(RawReceipt(provider_sid="SM0", status="sent", error_code="", fields={}, received_at=NOW))
        inbox.add_receipt(db, said("delivered"), now=NOW)
    assert apply_pending(sessions, ScriptedGateway(), later) == 1
    assert one.state == "delivered"


def test_a_report_that_another_worker_was_quicker_with_is_left(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = a_text(sessions)
    with sessions.begin() as db:
        inbox.add_receipt(db, said("undelivered", code="30003"), now=NOW)
    find = receipts._pending

    def while_another_works(found_by: Sessions) -> set[int]:
        found = find(found_by)
        monkeypatch.setattr(receipts, "_pending", find)
        assert apply_pending(sessions, ScriptedGateway(), later) == len(found)
        return found

    monkeypatch.setattr(receipts, "_pending", while_another_works)
    apply_pending(sessions, ScriptedGateway(), later)
    assert one.kinds() == ["receipt", "retry"]


# --- Asking -------------------------------------------------------------------------------------------------------


def poll(
    sessions: Sessions, *receipts: Receipt, clock: Callable[[], datetime] = later, **how: Any
) -> tuple[int, list[Any]]:
    gateway = ScriptedGateway()
    gateway.receipts = {receipt.provider_sid: receipt for receipt in receipts}
    return poll_receipts(sessions, gateway, clock, **how), gateway.asked


@pytest.mark.parametrize(
    ("over", "asked"),
    [
        pytest.param({}, True, id="sent ten minutes ago"),
        pytest.param({"state": "unconfirmed"}, True, id="unconfirmed, its id known"),
        pytest.param({"state": "unconfirmed", "provider_sid": None}, False, id="unconfirmed, no id to ask by"),
        pytest.param({"state": "delivered", "sent_at": NOW}, False, id="arrived"),
        pytest.param({"sent_at": LATER - timedelta(seconds=59)}, False, id="a report may still come by itself"),
        pytest.param({"sent_at": LATER - timedelta(minutes=1)}, True, id="no report for a minute"),
        pytest.param({"sent_at": LATER - timedelta(hours=72)}, True, id="three days without a report"),
        pytest.param({"sent_at": LATER - timedelta(hours=73)}, False, id="more than three days: given up"),
    ],
)
def test_who_is_asked_about(sessions: Sessions, over: Mapping[str, Any], *, asked: bool) -> None:
    a_text(sessions, **over)
    assert poll(sessions) == (0, [["SM1"]] if asked else [])


def test_where_no_report_comes_by_itself_we_ask_at_once(sessions: Sessions) -> None:
    one = a_text(sessions, sent_at=LATER)
    assert poll(sessions, said("delivered"), after=timedelta(0)) == (1, [["SM1"]])
    assert one.state == "delivered"


@pytest.mark.parametrize(
    ("gap", "asked"), [(4, [["SM2"]]), (20, [["SM1", "SM2"]]), (0, [])], ids=["soon", "later", "at once"]
)
def test_the_older_a_text_the_more_rarely_it_is_asked_about(
    sessions: Sessions, gap: int, asked: list[list[str]]
) -> None:
    for sid, age in (("SM1", 135), ("SM2", 123)):
        a_text(sessions, sids=(sid,), sent_at=LATER - timedelta(seconds=age))
    last = LATER - timedelta(seconds=gap)
    assert poll(sessions, last=last) == (0, asked)


def test_what_is_heard_again_is_no_news(sessions: Sessions) -> None:
    one = a_text(sessions)
    assert poll(sessions, said("sent"))[0] == 1
    assert poll(sessions, said("sent"))[0] == 0
    assert poll(sessions, said("delivered"))[0] == 1
    assert (poll(sessions)[1], one.state) == ([], "delivered")


def test_a_report_that_came_too_early_to_be_known_is_asked_for(sessions: Sessions) -> None:
    """A callback without our own id overtakes the settle: nobody knows its text yet."""
    one = a_text(sessions, state="sending", sids=(None,), outcomes=(None,))
    one.hear(said("delivered"))
    assert one.state == "sending"
    with sessions.begin() as db:
        assert messages.settle(db, one.id, token="t", values={"state": "sent", "provider_sid": "SM1", "sent_at": NOW})
    assert poll(sessions, said("delivered"))[0] == 1
    assert one.state == "delivered"


def test_everything_is_asked_for_batch_by_batch_the_oldest_first(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.flows.receipts.BATCH", 2)
    for n in (3, 1, 2):
        a_text(sessions, sids=(f"SM{n}",), sent_at=NOW + timedelta(minutes=n))
    a_text(sessions, sids=("SM4",), sent_at=NOW + timedelta(minutes=3))
    delivered = [said("delivered", sid=f"SM{n}") for n in range(1, 5)]
    assert poll(sessions, *delivered) == (4, [["SM1", "SM2"], ["SM3", "SM4"]])
    assert {row.state for row in every(sessions, Message)} == {"delivered"}


def test_an_ambiguous_failure_is_never_repeated(sessions: Sessions) -> None:
    one = a_text(sessions)
    assert poll(sessions, said("undelivered", code="30008"))[0] == 1
    assert one.state == "undelivered"


def test_asking_is_killed_between_texts_and_loses_nothing(sessions: Sessions) -> None:
    texts = [a_text(sessions, sids=(f"SM{n}",)) for n in (1, 2)]

    class Killed(ScriptedGateway):
        def receipts_for(self, provider_sids: Any) -> Iterator[Receipt]:
            yield said("delivered", sid="SM1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        poll_receipts(sessions, Killed(), later)
    assert [one.state for one in texts] == ["delivered", "sent"]
    assert poll(sessions, said("delivered", sid="SM2")) == (1, [["SM2"]])
