"""The gateway to Twilio over real HTTP: what it asks, how it reads what goes wrong, and how it ends."""

import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException

from service.domain.errors import AftercareError
from service.domain.sms import (
    LEAVE_WITHIN,
    TOO_LATE,
    Accepted,
    Blame,
    ListRefusedError,
    OutgoingSms,
    Refused,
    Sender,
    Unknown,
)
from service.gateways import twilio_lists as module
from service.gateways.simulated import Span
from service.gateways.simulated_network import DEFAULT
from service.gateways.twilio import TwilioConfig, TwilioGateway
from service.gateways.twilio_transport import TooManyRequestsError, _retry_after, has_answered, sort_failure
from tests.fakes.twilio_server import ACCOUNT_SID, OUR_NUMBER, SERVICE_SID, Breakage, FakeTwilio, Paging
from tests.gateways.conftest import OURS, PATIENT, TwilioWorld, VirtualClock, text, texts, twilio_config

CREATE_MESSAGE = {
    "To",
    "From",
    "MessagingServiceSid",
    "Body",
    "StatusCallback",
    "ValidityPeriod",
}
"""The parameters of CreateMessage that are used, as Twilio's OpenAPI description of the 2010-04-01 API names them."""


@contextmanager
def gateway_to(config: TwilioConfig) -> Iterator[TwilioGateway]:
    gateway = TwilioGateway(config, VirtualClock())
    try:
        yield gateway
    finally:
        gateway.close()


def only_outcome(gateway: TwilioGateway, message: OutgoingSms | None = None) -> object:
    [(_, outcome)] = gateway.send_batch([message or text()])
    return outcome


# What is asked


@pytest.mark.parametrize(
    "message",
    [
        text(9223372036854775807, body="x" * 1600),
        replace(text(2, sender=Sender(messaging_service=SERVICE_SID)), validity_seconds=36000),
        replace(text(3, sender=Sender(number="CLINIC")), validity_seconds=60),
    ],
    ids=["longest text, largest id", "messaging service, longest validity", "named sender, shortest validity"],
)
def test_a_request_fits_twilios_description(twilio: TwilioWorld, message: OutgoingSms) -> None:
    assert isinstance(only_outcome(twilio.gateway, message), Accepted)
    [fields] = twilio.server.creates
    callback = urlsplit(fields["StatusCallback"])
    assert fields.keys() <= CREATE_MESSAGE
    assert re.fullmatch(r"\+[1-9]\d{6,14}", fields["To"])
    assert 1 <= len(fields["Body"]) <= 1600
    assert ("From" in fields) != ("MessagingServiceSid" in fields)
    assert re.fullmatch(r"MG[0-9a-fA-F]{32}", fields.get("MessagingServiceSid", SERVICE_SID))
    assert 1 <= int(fields["ValidityPeriod"]) <= 36000
    assert int(fields["ValidityPeriod"]) == message.validity_seconds
    assert callback.scheme == "https"
    assert callback.hostname
    assert "_" not in callback.hostname


def test_a_receipt_will_carry_our_id_and_be_repeated_when_we_are_down(twilio: TwilioWorld) -> None:
    only_outcome(twilio.gateway, text(42))
    assert twilio.server.creates[0]["StatusCallback"] == (
        "https://texts.example.org/webhooks/twilio/status?mid=42#rc=4&rp=5xx,ct,rt"
    )


def test_without_a_public_address_no_receipt_is_asked_for(server: FakeTwilio) -> None:
    with gateway_to(replace(twilio_config(server), public_base_url=None)) as gateway:
        assert isinstance(only_outcome(gateway), Accepted)
    assert "StatusCallback" not in server.creates[0]


def test_a_messaging_service_does_not_know_the_segments_yet(twilio: TwilioWorld) -> None:
    outcome = only_outcome(twilio.gateway, text(sender=Sender(messaging_service=SERVICE_SID)))
    assert isinstance(outcome, Accepted)
    assert outcome.segments is None
    twilio.clock.forward(seconds=5)
    [receipt] = twilio.gateway.receipts_for([outcome.provider_sid])
    assert receipt.segments == 1


def test_two_batches_at_once_each_get_their_own_outcomes(twilio: TwilioWorld) -> None:
    first, second = twilio.gateway.send_batch(texts(100)[:50]), twilio.gateway.send_batch(texts(100)[50:])
    assert {message.message_id for message, _ in second} == set(range(51, 101))
    assert {message.message_id for message, _ in first} == set(range(1, 51))


# What goes wrong


@pytest.mark.parametrize("taken", [0, 1], ids=["not taken", "taken"])
@pytest.mark.parametrize("breakage", [each for each in Breakage if each is not Breakage.SILENCE])
def test_a_broken_answer_leaves_the_outcome_open(twilio: TwilioWorld, breakage: Breakage, taken: int) -> None:
    twilio.server.breakage = breakage
    twilio.behave(**{"fails_after" if taken else "fails_before": 1.0})
    assert isinstance(only_outcome(twilio.gateway), Unknown)
    assert len(twilio.network.accepted) == taken
    assert len(twilio.server.creates) == 1, "a create is asked for once, whatever comes back"


@pytest.mark.parametrize("taken", [0, 1], ids=["not taken", "taken"])
def test_an_answer_that_does_not_come_in_time_leaves_the_outcome_open(twilio: TwilioWorld, taken: int) -> None:
    twilio.server.breakage = Breakage.SILENCE
    twilio.behave(**{"fails_after" if taken else "fails_before": 1.0})
    with gateway_to(replace(twilio_config(twilio.server), timeout_seconds=0.2)) as gateway:
        assert only_outcome(gateway) == Unknown("Twilio did not answer in time.")
    assert len(twilio.network.accepted) == taken
    assert len(twilio.server.creates) == 1


def test_a_text_that_waits_for_its_turn_does_not_use_up_its_time(twilio: TwilioWorld) -> None:
    """One connection, no answers: the third waits for two deadlines and is asked for all the same."""
    twilio.server.breakage = Breakage.SILENCE
    twilio.behave(fails_before=1.0)
    with gateway_to(replace(twilio_config(twilio.server), timeout_seconds=0.2, connections=1)) as gateway:
        assert all(isinstance(outcome, Unknown) for _, outcome in gateway.send_batch(texts(3)))
    assert len(twilio.server.creates) == 3


class Thawing(VirtualClock):
    """Shows ten minutes later from the second look on: the process was frozen between asking for a connection and having it."""

    looks = 0

    def __call__(self) -> datetime:
        self.looks += 1
        if self.looks == 2:
            self.forward(minutes=10)
        return self.now


@pytest.mark.parametrize("reused", [False, True], ids=["a new connection", "a connection that was there"])
def test_frozen_while_it_connects_a_process_writes_nothing_when_it_thaws(server: FakeTwilio, *, reused: bool) -> None:
    clock = Thawing()
    gateway = TwilioGateway(twilio_config(server), clock)
    if reused:
        assert only_outcome(gateway) != TOO_LATE
        clock.looks = 0
    assert only_outcome(gateway, text(leave_by=clock.now + LEAVE_WITHIN)) == TOO_LATE
    assert clock.looks == 2
    assert len(server.creates) == reused
    gateway.close()


def test_not_one_byte_of_a_request_held_back_reaches_the_wire() -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        clock, port = Thawing(), listening.getsockname()[1]

        def receive() -> None:
            connection, _ = listening.accept()
            with connection:
                received.append(connection.recv(65536))

        receiver = threading.Thread(target=receive)
        receiver.start()
        config = TwilioConfig(ACCOUNT_SID, "SK", "secret", base_url=f"http://127.0.0.1:{port}")
        gateway = TwilioGateway(config, clock)
        assert only_outcome(gateway, text(leave_by=clock.now + LEAVE_WITHIN)) == TOO_LATE
        gateway.close()
        receiver.join()
    assert received == [b""]


def test_what_waits_for_its_turn_too_long_does_not_leave(twilio: TwilioWorld) -> None:
    twilio.server.breakage = Breakage.SILENCE
    twilio.behave(fails_after=1.0)
    gateway = TwilioGateway(replace(twilio_config(twilio.server), connections=1), twilio.clock)
    outcomes = gateway.send_batch([replace(each, leave_by=twilio.clock() + LEAVE_WITHIN) for each in texts(3)])
    assert twilio.server.met_silence.wait(10)
    twilio.clock.forward(minutes=1)
    twilio.server.release()
    assert [type(outcome) for _, outcome in outcomes] == [Unknown, Refused, Refused]
    assert len(twilio.server.creates) == 1
    gateway.close()


def test_only_texts_have_a_last_moment(twilio: TwilioWorld) -> None:
    only_outcome(twilio.gateway, text(leave_by=twilio.clock()))
    twilio.clock.forward(hours=1)
    assert len(twilio.gateway.texts_to(PATIENT, twilio.clock() - timedelta(hours=1))) == 1


@pytest.mark.parametrize("scheme", ["http", "https"], ids=["nobody listens", "no TLS spoken there"])
def test_without_a_connection_nothing_was_sent(scheme: str, server: FakeTwilio) -> None:
    port = server.port if scheme == "https" else 1
    with gateway_to(replace(twilio_config(server), base_url=f"{scheme}://127.0.0.1:{port}")) as gateway:
        outcome = only_outcome(gateway)
    assert isinstance(outcome, Refused)
    assert (outcome.blame, outcome.code) == (Blame.RETRY, "connect")
    assert server.creates == []


@pytest.mark.parametrize(
    ("change", "code"),
    [({"password": "wrong"}, "20003"), ({"account_sid": "AC" + "9" * 32}, "20404")],
    ids=["wrong secret", "wrong account"],
)
def test_wrong_credentials_concern_the_whole_account(server: FakeTwilio, change: dict[str, Any], code: str) -> None:
    with gateway_to(replace(twilio_config(server), **change)) as gateway:
        outcome = only_outcome(gateway)
    assert isinstance(outcome, Refused)
    assert (outcome.blame, outcome.code) == (Blame.ACCOUNT, code)


@pytest.mark.parametrize(
    ("message", "code", "blame"),
    [
        (text(body="x" * 1601), "21617", Blame.MESSAGE),
        (text(body=""), "21602", Blame.MESSAGE),
        (text(sender=Sender()), "21603", Blame.ACCOUNT),
        (text(to="123"), "21211", Blame.RECIPIENT),
        (replace(text(), validity_seconds=36001), "21624", Blame.ACCOUNT),
    ],
    ids=["too long", "empty", "no sender", "no number", "useful too long"],
)
def test_what_twilio_refuses_by_the_look_of_it(
    twilio: TwilioWorld, message: OutgoingSms, code: str, blame: Blame
) -> None:
    outcome = only_outcome(twilio.gateway, message)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.blame) == (code, blame)


def service_error(status: Any, code: Any) -> TwilioServiceException:
    """Both come from the body of the answer, which holds what it likes."""
    return TwilioServiceException("https://www.twilio.com/docs/errors", "Title", status, code)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TwilioRestException(400, "/", "no", 21211), "recipient 21211"),
        (TwilioRestException(400, "/", "no", 21610), "opted_out 21610"),
        (service_error(400, 21211), "recipient 21211"),
        (TwilioRestException(400, "/", "no", 29999), "message 29999"),
        (TwilioRestException(403, "/", "no", 20006), "account 20006"),
        (TwilioRestException(429, "/", "no", 20429), "retry 20429"),
        (TooManyRequestsError("429", retry_after_seconds=None), "retry 429"),
        (TooManyRequestsError("63038", retry_after_seconds=None), "account 63038"),
        (aiohttp.ConnectionTimeoutError(), "retry connect"),
        (aiohttp.InvalidURL("http://"), "retry connect"),
        (TwilioRestException(503, "/", "no", 20503), "unknown"),
        (TwilioRestException(500, "/", "no", 21211), "unknown"),
        (TwilioRestException(400, "/", "no", 20500), "unknown"),
        (service_error(500, 20500), "unknown"),
        (service_error(400, "21211"), "unknown"),
        (service_error("400", 21211), "unknown"),
        (TwilioRestException(404, "/", "page of a proxy", 404), "unknown"),
        (TwilioRestException(307, "/", "moved", 307), "unknown"),
        (TwilioRestException(400, "/", "no code", None), "unknown"),
        (aiohttp.SocketTimeoutError(), "unknown"),
        (aiohttp.ServerDisconnectedError(), "unknown"),
        (aiohttp.ClientOSError(104, "reset"), "unknown"),
        (aiohttp.ClientPayloadError(), "unknown"),
        (TimeoutError(), "unknown"),
        (ValueError("no JSON"), "unknown"),
        (AttributeError("a list for an answer"), "unknown"),
        (TwilioException(), "unknown"),
    ],
    ids=lambda value: re.sub(r"[^\w ]", "", repr(value))[:60] if isinstance(value, Exception) else value,
)
def test_only_what_certainly_did_not_leave_is_refused(error: Exception, expected: str) -> None:
    outcome = sort_failure(error)
    assert expected == (f"{outcome.blame} {outcome.code}" if isinstance(outcome, Refused) else "unknown")


@pytest.mark.parametrize(
    ("error", "answered"),
    [
        pytest.param(TwilioRestException(401, "/", "no", 20003), True, id="401 with Twilio's code"),
        pytest.param(TwilioRestException(403, "/", "no", 20006), True, id="403 with Twilio's code"),
        pytest.param(TwilioRestException(404, "/", "no", 20404), True, id="404 with Twilio's code"),
        pytest.param(service_error(404, 20404), True, id="404 with Twilio's code, of another form"),
        pytest.param(TwilioRestException(429, "/", "no", 20429), True, id="busy"),
        pytest.param(TwilioRestException(403, "/", "page", None), False, id="403 without a code"),
        pytest.param(TwilioRestException(403, "/", "page", 403), False, id="403 with a code of its own"),
        pytest.param(TwilioRestException(404, "/", "page", None), False, id="404 without a code"),
        pytest.param(TwilioRestException(407, "/", "page", None), False, id="407: a proxy wants a password"),
        pytest.param(service_error(403, "20006"), False, id="403 with words for a code"),
        pytest.param(service_error("403", 20006), False, id="words for a status"),
        pytest.param(TwilioRestException(307, "/", "moved", 20404), False, id="moved"),
        pytest.param(TwilioRestException(502, "/", "page", None), False, id="502 without a code"),
        pytest.param(TwilioRestException(503, "/", "no", 20503), False, id="503 with Twilio's code"),
        pytest.param(aiohttp.ServerDisconnectedError(), False, id="cut off"),
        pytest.param(aiohttp.ConnectionTimeoutError(), False, id="no connection"),
        pytest.param(TimeoutError(), False, id="no answer in time"),
        pytest.param(ValueError("no JSON"), True, id="200, and nobody can read it"),
        pytest.param(TwilioException(), True, id="200, and a page that leads nowhere"),
    ],
)
def test_a_no_is_twilios_only_where_it_bears_twilios_code(error: Exception, answered: bool) -> None:
    """What stands between us and Twilio goes on answering while Twilio is not there."""
    assert has_answered(error) is answered


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "Tue, 03 Mar 2026 10:00:30 GMT", "Date": "Tue, 03 Mar 2026 10:00:00 GMT"}, 30.0),
        ({"Retry-After": "Tue, 03 Mar 2026 09:00:00 GMT", "Date": "Tue, 03 Mar 2026 10:00:00 GMT"}, 0.0),
        ({"Retry-After": "Tue, 03 Mar 2026 10:00:30 GMT"}, None),
        ({"Retry-After": "Tue, 03 Mar 2026 10:00:30 -0000", "Date": "Tue, 03 Mar 2026 10:00:00 GMT"}, None),
        ({"Retry-After": "99999999999999999999"}, 3600.0),
        ({"Retry-After": "Fri, 03 Mar 2028 10:00:30 GMT", "Date": "Tue, 03 Mar 2026 10:00:00 GMT"}, 3600.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert _retry_after(headers) == seconds


# What is fetched


def test_a_text_twilio_does_not_know_has_no_receipt(twilio: TwilioWorld) -> None:
    outcome = only_outcome(twilio.gateway)
    assert isinstance(outcome, Accepted)
    receipts = twilio.gateway.receipts_for(["SM" + "0" * 32, outcome.provider_sid, f"../../{ACCOUNT_SID}"])
    assert [receipt.provider_sid for receipt in receipts] == [outcome.provider_sid]


def test_a_receipt_fetched_holds_no_body(twilio: TwilioWorld) -> None:
    outcome = only_outcome(twilio.gateway)
    assert isinstance(outcome, Accepted)
    [receipt] = twilio.gateway.receipts_for([outcome.provider_sid])
    assert text().body not in receipt.fields.values()


@pytest.fixture
def two_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_SIZE", "2")


def say_five(twilio: TwilioWorld) -> list[str]:
    """Five texts from a phone, after one of ours; their ids, oldest first."""
    only_outcome(twilio.gateway)
    return [
        twilio.network.say(PATIENT, OUR_NUMBER, body=f"{n}", now=twilio.clock.forward(seconds=1)).sid for n in range(5)
    ]


@pytest.mark.usefixtures("two_a_page")
@pytest.mark.parametrize("paging", [Paging.SOUND, Paging.OVERLAPPING])
def test_every_page_is_fetched_and_each_text_given_once(twilio: TwilioWorld, paging: Paging) -> None:
    start, sids = twilio.clock(), say_five(twilio)
    twilio.server.paging = paging
    assert [sms.provider_sid for sms in twilio.gateway.inbound_since(start)] == sids


@pytest.mark.usefixtures("two_a_page")
def test_a_list_that_goes_in_circles_ends(twilio: TwilioWorld) -> None:
    start = twilio.clock()
    say_five(twilio)
    twilio.server.paging = Paging.REPEATING
    assert [sms.body for sms in twilio.gateway.inbound_since(start)] == ["3", "4"]
    assert len(twilio.server.lists) == 2


@pytest.mark.usefixtures("two_a_page")
def test_what_came_before_a_list_broke_off_is_given_first(twilio: TwilioWorld) -> None:
    start, sids = twilio.clock(), say_five(twilio)
    twilio.server.paging = Paging.BREAKING
    found = twilio.gateway.inbound_since(start)
    assert [next(found).provider_sid, next(found).provider_sid] == sids[-2:]
    with pytest.raises(AftercareError, match="broke off: Twilio failed"):
        next(found)


@pytest.mark.usefixtures("two_a_page")
@pytest.mark.parametrize("paging", [Paging.SOUND, Paging.OVERLAPPING])
def test_every_page_of_sent_texts_is_read(twilio: TwilioWorld, paging: Paging) -> None:
    start = twilio.clock()
    list(twilio.gateway.send_batch([text(n) for n in range(5)]))
    twilio.server.paging = paging
    listed = twilio.gateway.texts_to(PATIENT, start)
    assert sorted(sms.provider_sid for sms in listed) == sorted(twilio.network.accepted)


@pytest.mark.usefixtures("two_a_page")
@pytest.mark.parametrize("paging", [Paging.REPEATING, Paging.BREAKING, Paging.EMPTY, Paging.DOWN, Paging.KEPT])
def test_a_list_of_sent_texts_is_complete_or_none(twilio: TwilioWorld, paging: Paging) -> None:
    start = twilio.clock()
    list(twilio.gateway.send_batch([text(n) for n in range(5)]))
    twilio.server.paging = paging
    with pytest.raises(AftercareError, match="proves nothing") as failed:
        twilio.gateway.texts_to(PATIENT, start)
    is_there = paging in (Paging.REPEATING, Paging.EMPTY)
    assert isinstance(failed.value, ListRefusedError) is is_there


@pytest.mark.usefixtures("two_a_page")
def test_older_texts_are_not_read(twilio: TwilioWorld) -> None:
    for _ in range(8):
        list(twilio.gateway.send_batch([text()]))
        twilio.clock.forward(hours=1)
    assert len(twilio.gateway.texts_to(PATIENT, twilio.clock() - timedelta(hours=3))) == 3
    assert len(twilio.server.lists) == 3, "up to the first page that is wholly older"


@pytest.mark.parametrize("field", ["sid", "to", "direction", "date_created", "status"])
def test_half_a_resource_makes_no_list(twilio: TwilioWorld, field: str) -> None:
    list(twilio.gateway.send_batch([text()]))
    twilio.server.shown_as = lambda resource: {name: resource[name] for name in resource if name != field}
    with pytest.raises(ListRefusedError, match="could not be read"):
        twilio.gateway.texts_to(None, twilio.clock())


def test_a_provider_that_is_not_there_shows_no_list_and_says_nothing(twilio: TwilioWorld) -> None:
    twilio.server.network.config = replace(DEFAULT, outages=[Span(twilio.clock(), twilio.clock() + timedelta(hours=1))])
    with pytest.raises(AftercareError) as failed:
        twilio.gateway.texts_to(None, twilio.clock())
    assert not isinstance(failed.value, ListRefusedError)


def test_wrong_credentials_are_an_answer(twilio: TwilioWorld) -> None:
    config = TwilioConfig(ACCOUNT_SID, "SK", "wrong", base_url=twilio.server.url)
    gateway = TwilioGateway(config, twilio.clock)
    with pytest.raises(ListRefusedError):
        gateway.texts_to(None, twilio.clock())
    gateway.close()


def test_the_day_of_sending_is_not_asked_for(twilio: TwilioWorld) -> None:
    """A text that waits at Twilio has no sent date, and that filter would hide it."""
    list(twilio.gateway.send_batch([text()]))
    assert len(twilio.gateway.texts_to(PATIENT, twilio.clock())) == 1
    assert parse_qs(twilio.server.lists[0]) == {"To": [PATIENT], "PageSize": ["1000"]}


def test_twilio_is_asked_for_days_and_the_moment_is_ours(twilio: TwilioWorld) -> None:
    twilio.network.say(PATIENT, OUR_NUMBER, body="two days ago", now=twilio.clock())
    twilio.network.say(PATIENT, OUR_NUMBER, body="this morning", now=twilio.clock.forward(days=2))
    now = twilio.clock.forward(hours=3)
    twilio.network.say(PATIENT, OUR_NUMBER, body="now", now=now)
    assert [sms.body for sms in twilio.gateway.inbound_since(now - timedelta(minutes=1))] == ["now"]
    assert parse_qs(twilio.server.lists[0])["DateSent>"] == ["2026-03-04"]


def test_a_list_that_is_none_is_said_so(twilio: TwilioWorld) -> None:
    with gateway_to(replace(twilio_config(twilio.server), base_url="http://127.0.0.1:1")) as gateway:
        with pytest.raises(AftercareError, match="could not be reached"):
            list(gateway.inbound_since(twilio.clock()))
        assert list(gateway.receipts_for(["SM" + "0" * 32])) == []


# Is it set up well


@pytest.mark.parametrize(
    ("sender", "names"),
    [
        (OURS, ["twilio account", "twilio sender", "twilio registration", "twilio inbound"]),
        (
            Sender(messaging_service=SERVICE_SID),
            ["twilio account", "twilio sender", "twilio registration", "twilio inbound"],
        ),
        (Sender(number="CLINIC"), ["twilio account"]),
        (Sender(), ["twilio account"]),
    ],
    ids=["number", "service", "a name, which cannot be looked up", "none"],
)
def test_good_settings_are_in_order(twilio: TwilioWorld, sender: Sender, names: list[str]) -> None:
    checks = twilio.gateway.check(sender)
    assert [(check.name, check.ok, check.fix) for check in checks] == [(name, True, "") for name in names]


@pytest.mark.parametrize(
    ("change", "sender", "expected"),
    [
        ({"password": "wrong"}, OURS, [False, False, True, False]),
        ({"base_url": "http://127.0.0.1:1"}, OURS, [False, False, True, False]),
        ({}, Sender(number="+15550000000"), [True, False, True, True]),
        ({}, Sender(messaging_service="MG" + "0" * 32), [True, False, True, False]),
    ],
    ids=["wrong secret", "unreachable", "not our number", "not our service"],
)
def test_bad_settings_are_told(
    server: FakeTwilio, change: dict[str, Any], sender: Sender, expected: list[bool]
) -> None:
    with gateway_to(replace(twilio_config(server), **change)) as gateway:
        checks = gateway.check(sender)
    assert [check.ok for check in checks] == expected
    assert all(bool(check.fix) != check.ok and check.detail for check in checks)
    assert "+1555" not in repr(checks)


# What stays in the house


def test_no_log_line_names_a_number_or_a_text(
    twilio: TwilioWorld, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    assert not logging.getLogger("twilio.http_client").isEnabledFor(logging.INFO), "there the SDK writes addresses"
    twilio.network.say(PATIENT, OUR_NUMBER, body="My number is secret", now=twilio.clock())
    sent = [outcome for _, outcome in twilio.gateway.send_batch([text(), text(to="+15005550004"), text(to="nobody")])]
    list(twilio.gateway.receipts_for([each.provider_sid for each in sent if isinstance(each, Accepted)] + ["SMno"]))
    list(twilio.gateway.inbound_since(twilio.clock()))
    twilio.gateway.texts_to(PATIENT, twilio.clock())
    twilio.gateway.check(OURS)
    twilio.behave(outages=[Span(twilio.clock(), twilio.clock() + timedelta(hours=1))])
    with pytest.raises(AftercareError) as caught:
        list(twilio.gateway.inbound_since(twilio.clock()))
    with pytest.raises(AftercareError) as no_list:
        twilio.gateway.texts_to(PATIENT, twilio.clock())
    printed = capsys.readouterr()
    written = f"{caplog.text} {printed.out} {printed.err} {caught.value} {no_list.value}"
    assert "twilio.receipts_left_out" in written
    for secret in (PATIENT, PATIENT[1:], "5005550004", OUR_NUMBER[1:], text().body, "secret"):
        assert secret not in written


def test_the_secret_is_not_printed(server: FakeTwilio) -> None:
    assert twilio_config(server).password not in repr(twilio_config(server))


# How it ends


def test_closing_waits_for_what_is_under_way_and_sends_nothing_more(
    twilio: TwilioWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    twilio.server.breakage = Breakage.SILENCE
    twilio.behave(fails_after=1.0)
    gateway = TwilioGateway(replace(twilio_config(twilio.server), connections=1), twilio.clock)
    finish = gateway._finish

    def finish_once_the_answer_may_come() -> object:
        twilio.server.release()
        return finish()

    monkeypatch.setattr(gateway, "_finish", finish_once_the_answer_may_come)
    outcomes = gateway.send_batch(texts(4))
    assert twilio.server.met_silence.wait(10)
    gateway.close()
    assert sorted(type(outcome).__name__ for _, outcome in outcomes) == ["Refused", "Refused", "Refused", "Unknown"]
    assert len(twilio.server.creates) == 1


def test_a_closed_gateway_sends_nothing_and_says_so(twilio: TwilioWorld) -> None:
    twilio.gateway.close()
    [(message, outcome)] = twilio.gateway.send_batch([text()])
    assert message == text()
    assert isinstance(outcome, Refused)
    assert (outcome.blame, outcome.code) == (Blame.RETRY, "closing")
    assert twilio.server.creates == []


def test_a_closed_gateway_is_asked_in_vain_and_says_so(twilio: TwilioWorld) -> None:
    twilio.gateway.close()
    with pytest.raises(AftercareError, match="is stopping"):
        twilio.gateway.texts_to(PATIENT, twilio.clock())


def test_closing_ends_questions_that_are_under_way() -> None:
    """Nobody ever answers here: whoever waits must not keep the service from stopping."""
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = TwilioConfig(ACCOUNT_SID, "SK", "secret", base_url=f"http://127.0.0.1:{listening.getsockname()[1]}")
        gateway = TwilioGateway(config, VirtualClock())

        def ask() -> None:
            try:
                gateway.texts_to(None, VirtualClock.now)
            except AftercareError as error:
                said.append(str(error))

        asking = threading.Thread(target=ask)
        asking.start()
        connection, _ = listening.accept()
        gateway.close()
        asking.join()
        connection.close()
    assert "is stopping" in said[0]


def test_a_closed_gateway_leaves_no_thread_behind(server: FakeTwilio) -> None:
    def mine() -> int:
        return sum(thread.name == "twilio" for thread in threading.enumerate())

    before = mine()
    with gateway_to(twilio_config(server)):
        assert mine() == before + 1
    assert mine() == before


def test_twilios_own_address_is_left_to_the_sdk() -> None:
    """Nothing is sent: the tests know no way out of this machine."""
    with gateway_to(TwilioConfig(ACCOUNT_SID, "SK", "secret")) as gateway:
        address: Callable[[str], str] = gateway._transport._address
        assert address("https://messaging.twilio.com/v1/Services?x=1") == "https://messaging.twilio.com/v1/Services?x=1"
