"""What every way to the phone network promises, checked on each of them against the same pretend network."""

from collections import Counter
from datetime import timedelta

import pytest

from service.domain.errors import AftercareError
from service.domain.segments import measure
from service.domain.sms import TOO_LATE, Accepted, Blame, Forgotten, ReceiptState, Refused, Sender, Unknown
from service.gateways.simulated import Span
from tests.fakes.twilio_server import OUR_NUMBER, SERVICE_SID
from tests.gateways.conftest import OURS, PATIENT, World, text, texts


def test_two_thousand_texts_have_one_outcome_each_and_none_is_mixed_up(world: World) -> None:
    batch = texts(2000)
    outcomes = list(world.gateway.send_batch(batch))
    assert Counter(message for message, _ in outcomes) == Counter(batch)
    accepted = {outcome.provider_sid: message for message, outcome in outcomes if isinstance(outcome, Accepted)}
    assert accepted.keys() == world.network.accepted.keys()
    assert len(accepted) == 2000
    for sid, message in accepted.items():
        taken = world.network.accepted[sid].text
        assert (taken.to, taken.body) == (message.to, message.body)


def test_an_empty_batch_is_no_work(world: World) -> None:
    assert list(world.gateway.send_batch([])) == []


def test_a_text_given_twice_is_sent_twice_under_two_ids(world: World) -> None:
    """Whether a text may go out again is decided above; down here nothing is guessed."""
    outcomes = [outcome for _, outcome in world.gateway.send_batch([text(), text()])]
    assert len({outcome.provider_sid for outcome in outcomes if isinstance(outcome, Accepted)}) == 2


@pytest.mark.parametrize(
    "body",
    ["a&b=c+d%20e#f", "Line one\nline two\r\nthree", "İğne öncesi 5 °C – ok?", "🙏🏽 gracias", '"\\{}[]~|€^', " x "],
    ids=["signs of forms", "line ends", "Turkish", "emoji", "GSM extension", "blanks at the ends"],
)
def test_what_arrives_is_what_was_written(world: World, body: str) -> None:
    [(_, outcome)] = world.gateway.send_batch([text(body=body)])
    assert isinstance(outcome, Accepted)
    assert world.network.accepted[outcome.provider_sid].text.body == body
    assert outcome.segments == measure(body).segments


@pytest.mark.parametrize("sender", [OURS, Sender(messaging_service=SERVICE_SID)], ids=["number", "service"])
def test_a_text_leaves_from_the_sender_it_names(world: World, sender: Sender) -> None:
    [(_, outcome)] = world.gateway.send_batch([text(sender=sender)])
    assert isinstance(outcome, Accepted)
    assert world.network.accepted[outcome.provider_sid].text.sender == sender


def test_a_busy_network_takes_nothing_and_says_when_to_come_again(world: World) -> None:
    world.behave(busy=1.0, retry_after_seconds=7)
    for _, outcome in world.gateway.send_batch(texts(20)):
        assert isinstance(outcome, Refused)
        assert (outcome.blame, outcome.code, outcome.retry_after_seconds) == (Blame.RETRY, "20429", 7.0)
    assert world.network.accepted == {}


def test_after_a_burst_the_same_texts_go_out_once(world: World) -> None:
    now = world.clock()
    world.behave(bursts=[Span(now, now + timedelta(minutes=1))])
    assert all(isinstance(outcome, Refused) for _, outcome in world.gateway.send_batch(texts(10)))
    world.clock.forward(minutes=1)
    assert all(isinstance(outcome, Accepted) for _, outcome in world.gateway.send_batch(texts(10)))
    assert len(world.network.accepted) == 10


@pytest.mark.parametrize(
    ("number", "blame", "code"),
    [
        ("+15005550001", Blame.RECIPIENT, "21211"),
        ("+15005550002", Blame.RECIPIENT, "21612"),
        ("+15005550003", Blame.SENDER, "21408"),
        ("+15005550004", Blame.OPTED_OUT, "21610"),
        ("+15005550009", Blame.RECIPIENT, "21614"),
    ],
    ids=["impossible", "no route", "country not allowed", "opted out", "not a mobile"],
)
def test_numbers_that_are_always_refused(world: World, number: str, blame: Blame, code: str) -> None:
    [(_, outcome)] = world.gateway.send_batch([text(to=number)])
    assert isinstance(outcome, Refused)
    assert (outcome.blame, outcome.code) == (blame, code)
    assert outcome.reason
    assert outcome.next_action
    assert world.network.accepted == {}


@pytest.mark.parametrize(
    ("number", "blame", "code"),
    [
        ("+15005550001", Blame.SENDER, "21212"),
        ("+15005550007", Blame.SENDER, "21606"),
        ("+15005550008", Blame.RETRY, "21611"),
    ],
    ids=["invalid", "not ours", "queue full"],
)
def test_senders_that_are_always_refused(world: World, number: str, blame: Blame, code: str) -> None:
    [(_, outcome)] = world.gateway.send_batch([text(sender=Sender(number=number))])
    assert isinstance(outcome, Refused)
    assert (outcome.blame, outcome.code) == (blame, code)


def test_whoever_texts_stop_is_refused_until_start(world: World) -> None:
    def outcome() -> object:
        [(_, outcome)] = world.gateway.send_batch([text()])
        return outcome.blame if isinstance(outcome, Refused) else type(outcome)

    world.network.say(PATIENT, OUR_NUMBER, body="please stop", now=world.clock())
    assert outcome() is Accepted
    world.network.say(PATIENT, OUR_NUMBER, body=" Stop ", now=world.clock())
    assert outcome() is Blame.OPTED_OUT
    world.network.say(PATIENT, OUR_NUMBER, body="START", now=world.clock())
    assert outcome() is Accepted


def test_stop_to_a_messaging_service_leaves_other_senders_open(world: World) -> None:
    service = Sender(messaging_service=SERVICE_SID)
    world.network.say(PATIENT, OUR_NUMBER, body="STOP", now=world.clock(), messaging_service=SERVICE_SID)
    outcomes = dict(world.gateway.send_batch([text(1, sender=service), text(2)]))
    assert [type(outcomes[text(1, sender=service)]), type(outcomes[text(2)])] == [Refused, Accepted]


@pytest.mark.parametrize(("fault", "taken"), [("fails_before", 0), ("fails_after", 30)])
def test_a_network_that_breaks_leaves_the_outcome_open(world: World, fault: str, taken: int) -> None:
    world.behave(**{fault: 1.0})
    assert all(isinstance(outcome, Unknown) for _, outcome in world.gateway.send_batch(texts(30)))
    assert len(world.network.accepted) == taken


def test_in_bad_weather_no_outcome_lies(world: World) -> None:
    world.behave(seed=7, busy=0.2, fails_before=0.2, fails_after=0.2)
    outcomes = list(world.gateway.send_batch(texts(300)))
    at_network = Counter(taken.text.message_id for taken in world.network.accepted.values())
    assert {type(outcome) for _, outcome in outcomes} == {Accepted, Refused, Unknown}
    assert max(at_network.values()) == 1
    for message, outcome in outcomes:
        match outcome:
            case Accepted():
                assert world.network.accepted[outcome.provider_sid].text.to == message.to
            case Refused():
                assert message.message_id not in at_network
            case Unknown():
                assert at_network[message.message_id] in {0, 1}


def test_a_text_is_followed_to_the_phone(world: World) -> None:
    [(_, outcome)] = world.gateway.send_batch([text()])
    assert isinstance(outcome, Accepted)
    states = []
    for _ in range(3):
        [receipt] = world.gateway.receipts_for([outcome.provider_sid])
        states.append(receipt.state)
        assert receipt.provider_sid == outcome.provider_sid
        assert receipt.failure is None
        world.clock.forward(seconds=1)
    assert states == [ReceiptState.QUEUED, ReceiptState.SENT, ReceiptState.DELIVERED]


def test_many_texts_are_followed_at_once(world: World) -> None:
    sids = [
        outcome.provider_sid for _, outcome in world.gateway.send_batch(texts(120)) if isinstance(outcome, Accepted)
    ]
    world.clock.forward(minutes=1)
    receipts = list(world.gateway.receipts_for(sids))
    assert sorted(receipt.provider_sid for receipt in receipts) == sorted(sids)
    assert {receipt.state for receipt in receipts} == {ReceiptState.DELIVERED}


def test_a_text_that_does_not_arrive_says_why(world: World) -> None:
    world.behave(undelivered=1.0, undelivered_code="30006")
    [(_, outcome)] = world.gateway.send_batch([text()])
    assert isinstance(outcome, Accepted)
    world.clock.forward(minutes=1)
    [receipt] = world.gateway.receipts_for([outcome.provider_sid])
    assert receipt.state is ReceiptState.UNDELIVERED
    assert receipt.failure
    assert (receipt.failure.blame, receipt.failure.code) == (Blame.RECIPIENT, "30006")


def test_a_stored_receipt_is_read_again_the_same_way(world: World) -> None:
    [(_, outcome)] = world.gateway.send_batch([text()])
    assert isinstance(outcome, Accepted)
    [receipt] = world.gateway.receipts_for([outcome.provider_sid])
    assert world.gateway.read_receipt(receipt.fields) == receipt


def test_texts_from_phones_come_oldest_first_from_the_moment_asked_for(world: World) -> None:
    for n in range(5):
        world.network.say(PATIENT, OUR_NUMBER, body=f"Answer {n}", now=world.clock.forward(seconds=10))
    list(world.gateway.send_batch([text()]))
    since = world.network.heard[1].at
    heard = list(world.gateway.inbound_since(since))
    assert [sms.body for sms in heard] == ["Answer 1", "Answer 2", "Answer 3", "Answer 4"]
    assert heard[0].received_at == since
    assert {(sms.from_number, sms.to_number, sms.messaging_service) for sms in heard} == {(PATIENT, OUR_NUMBER, None)}
    assert [sms.provider_sid for sms in heard] == [text.sid for text in world.network.heard[1:]]


def test_a_text_from_a_phone_is_not_lost_to_fractions_of_a_second(world: World) -> None:
    heard = world.network.say(PATIENT, OUR_NUMBER, body="Help", now=world.clock.forward(milliseconds=700))
    assert [sms.body for sms in world.gateway.inbound_since(heard.at)] == ["Help"]


def test_a_stored_text_from_a_phone_is_read_again_the_same_way(world: World) -> None:
    world.network.say(PATIENT, OUR_NUMBER, body="3 días 🙂", now=world.clock(), messaging_service=SERVICE_SID)
    [sms] = world.gateway.inbound_since(world.clock())
    assert sms.messaging_service == SERVICE_SID
    assert world.gateway.read_inbound(sms.fields) == sms


def test_during_an_outage_nothing_is_pretended_and_nothing_lost(world: World) -> None:
    now = world.clock()
    [(_, outcome)] = world.gateway.send_batch([text(1)])
    assert isinstance(outcome, Accepted)
    world.network.say(PATIENT, OUR_NUMBER, body="Are you there?", now=now)
    world.behave(outages=[Span(now, now + timedelta(hours=1))])
    assert list(world.gateway.receipts_for([outcome.provider_sid])) == []
    [(_, lost)] = world.gateway.send_batch([text(2)])
    assert isinstance(lost, Unknown)
    with pytest.raises(AftercareError, match="same moment"):
        list(world.gateway.inbound_since(now))
    world.clock.forward(hours=1)
    assert [sms.body for sms in world.gateway.inbound_since(now)] == ["Are you there?"]
    assert len(world.network.accepted) == 1


@pytest.mark.parametrize(("late_by", "leaves"), [(-1.0, True), (0.0, True), (0.001, False), (600.0, False)], ids=str)
def test_a_text_leaves_up_to_its_last_moment_and_not_after(world: World, late_by: float, *, leaves: bool) -> None:
    message = text(leave_by=world.clock() - timedelta(seconds=late_by))
    [(given, outcome)] = world.gateway.send_batch([message])
    assert given == message
    assert isinstance(outcome, Accepted) if leaves else outcome == TOO_LATE
    assert len(world.network.accepted) == leaves


def test_a_text_that_was_held_back_is_tried_again_by_itself() -> None:
    assert (TOO_LATE.blame, TOO_LATE.code) == (Blame.RETRY, "late")


def test_the_list_shows_what_was_sent_to_a_number_and_nothing_else(world: World) -> None:
    start = world.clock()
    [(_, first), (_, second), _] = world.gateway.send_batch([text(1), text(2), text(3, to="+15551230002")])
    world.network.say(PATIENT, OUR_NUMBER, body="Thanks", now=world.clock())
    world.clock.forward(minutes=1)
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    listed = world.gateway.texts_to(PATIENT, start)
    assert {sms.provider_sid for sms in listed} == {first.provider_sid, second.provider_sid}
    assert {(sms.to, sms.body, sms.created_at, sms.state) for sms in listed} == {
        (PATIENT, text().body, start, ReceiptState.DELIVERED)
    }
    assert {sms.to for sms in world.gateway.texts_to(None, start)} == {PATIENT, "+15551230002"}
    assert world.gateway.texts_to("+15551230003", start) == []


def test_the_list_begins_at_the_moment_asked_for(world: World) -> None:
    for n in range(3):
        world.clock.forward(seconds=10)
        list(world.gateway.send_batch([text(n, body=f"Text {n}")]))
    listed = world.gateway.texts_to(PATIENT, world.clock() - timedelta(seconds=10))
    assert sorted(str(sms.body) for sms in listed) == ["Text 1", "Text 2"]


def test_a_text_in_the_list_is_not_lost_to_fractions_of_a_second(world: World) -> None:
    now = world.clock.forward(milliseconds=700)
    list(world.gateway.send_batch([text()]))
    assert len(world.gateway.texts_to(PATIENT, now)) == 1


def test_a_redacted_list_shows_texts_without_their_words(world: World) -> None:
    world.behave(redacted=True)
    list(world.gateway.send_batch([text()]))
    [sms] = world.gateway.texts_to(PATIENT, world.clock())
    assert (sms.body, sms.to) == (None, PATIENT)


def test_a_list_may_lag_behind(world: World) -> None:
    start = world.clock()
    world.behave(list_lag=timedelta(seconds=30))
    list(world.gateway.send_batch([text()]))
    world.clock.forward(seconds=29)
    assert world.gateway.texts_to(PATIENT, start) == []
    world.clock.forward(seconds=1)
    assert len(world.gateway.texts_to(PATIENT, start)) == 1


def test_a_network_that_is_out_shows_no_list_rather_than_an_empty_one(world: World) -> None:
    now = world.clock()
    world.behave(outages=[Span(now, now + timedelta(hours=1))])
    with pytest.raises(AftercareError, match="Nothing was changed"):
        world.gateway.texts_to(PATIENT, now)


@pytest.mark.parametrize("fields", [{}, {"MessageSid": ""}], ids=["nothing", "an empty id"])
def test_what_names_no_text_is_said_so(world: World, fields: dict[str, str]) -> None:
    with pytest.raises(AftercareError, match="names no text"):
        world.gateway.read_receipt(fields)
    with pytest.raises(AftercareError, match="names no text"):
        world.gateway.read_inbound(fields)


def test_closing_twice_is_harmless(world: World) -> None:
    world.gateway.close()
    world.gateway.close()


# --- Forgetting --------------------------------------------------------------------------------------------------------


def sent(world: World) -> str:
    [(_, outcome)] = world.gateway.send_batch([text()])
    assert isinstance(outcome, Accepted)
    return outcome.provider_sid


def test_a_text_that_has_arrived_is_forgotten(world: World) -> None:
    sid = sent(world)
    world.clock.forward(seconds=5)
    assert world.gateway.forget(sid) is Forgotten.GONE
    assert world.network.accepted == {}
    assert world.gateway.texts_to(PATIENT, world.clock() - timedelta(hours=1)) == []
    assert world.gateway.forget(sid) is Forgotten.GONE, "twice is as good as once"


def test_a_text_on_its_way_is_not_forgotten_yet(world: World) -> None:
    sid = sent(world)
    with pytest.raises(AftercareError, match="asked again later"):
        world.gateway.forget(sid)
    assert sid in world.network.accepted


def test_a_phones_text_is_forgotten(world: World) -> None:
    heard = [world.network.say(PATIENT, OUR_NUMBER, body=body, now=world.clock()) for body in ("one", "two")]
    since = world.clock() - timedelta(hours=1)
    assert world.gateway.forget(heard[0].sid) is Forgotten.GONE
    assert [sms.body for sms in world.gateway.inbound_since(since)] == ["two"]
    assert world.network.say(PATIENT, OUR_NUMBER, body="three", now=world.clock()).sid not in {h.sid for h in heard}


def test_a_text_that_nobody_knows_counts_as_forgotten(world: World) -> None:
    assert world.gateway.forget("SM" + "0" * 32) is Forgotten.GONE
