"""The fake Twilio is held to what the service relies on: it signs, lists, filters and turns away like the real one."""

import http.client
import json
from base64 import b64encode
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from service.gateways.twilio import verify_signature
from service.gateways.twilio_fields import read_inbound, read_receipt
from tests.fakes.twilio_server import ACCOUNT_SID, AUTH_TOKEN, KEY_SECRET, KEY_SID, OUR_NUMBER, FakeTwilio, Paging
from tests.gateways.conftest import PATIENT, TwilioWorld, text, texts

MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"


def ask(server: FakeTwilio, path: str, **query: str) -> tuple[int, dict[str, object]]:
    key = b64encode(f"{KEY_SID}:{KEY_SECRET}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", f"{path}?{urlencode(query)}", headers={"Authorization": f"Basic {key}"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def sids(server: FakeTwilio, **query: str) -> list[str]:
    _, page = ask(server, MESSAGES, **query)
    messages = page["messages"]
    assert isinstance(messages, list)
    return [message["sid"] for message in messages]


def test_callbacks_are_signed_and_carry_our_id(twilio: TwilioWorld) -> None:
    list(twilio.gateway.send_batch([text(42)]))
    twilio.clock.forward(minutes=1)
    callbacks = twilio.server.callbacks_due()
    assert [callback.fields["MessageStatus"] for callback in callbacks] == ["sent", "delivered"]
    for callback in callbacks:
        assert "#" not in callback.url
        pairs = list(callback.fields.items())
        assert verify_signature(callback.url, pairs, signature=callback.signature, tokens=[AUTH_TOKEN])
        fields = {**dict(parse_qsl(urlsplit(callback.url).query)), **callback.fields}
        assert read_receipt(fields).message_id == 42
    assert twilio.server.callbacks_due() == []


def test_texts_from_phones_are_posted_once(twilio: TwilioWorld) -> None:
    twilio.server.inbound_url = "https://texts.example.org/webhooks/twilio/inbound"
    connection = http.client.HTTPConnection("127.0.0.1", twilio.server.port, timeout=10)
    said = urlencode({"From": PATIENT, "To": OUR_NUMBER, "Body": "Is this normal?"})
    connection.request("POST", "/say", said, {"Content-Type": "application/x-www-form-urlencoded"})
    assert connection.getresponse().status == 201
    connection.close()
    [callback] = twilio.server.callbacks_due()
    assert read_inbound(callback.fields).body == "Is this normal?"
    assert twilio.server.callbacks_due() == []


def test_callbacks_are_posted_and_their_answers_told(twilio: TwilioWorld) -> None:
    """There is no such page on the fake itself; and where nobody listens the answer is nought."""
    twilio.network.say(PATIENT, OUR_NUMBER, body="Hello", now=twilio.clock())
    twilio.server.inbound_url = f"{twilio.server.url}/nowhere"
    assert twilio.server.deliver_callbacks() == [401]
    twilio.network.say(PATIENT, OUR_NUMBER, body="Hello", now=twilio.clock())
    twilio.server.inbound_url = "http://127.0.0.1:1/nowhere"
    assert twilio.server.deliver_callbacks() == [0]


def test_lists_are_newest_first_and_filtered(twilio: TwilioWorld) -> None:
    heard = twilio.network.say(PATIENT, OUR_NUMBER, body="Hello", now=twilio.clock()).sid
    twilio.clock.forward(days=1)
    list(twilio.gateway.send_batch([text()]))
    [sent] = twilio.network.accepted
    assert sids(twilio.server) == [sent, heard]
    assert sids(twilio.server, To=PATIENT) == [sent]
    assert sids(twilio.server, From=PATIENT) == [heard]
    assert sids(twilio.server, DateSent="2026-03-02") == [heard]
    assert sids(twilio.server, **{"DateSent>": "2026-03-03"}) == [], "our text has not been sent yet"
    twilio.clock.forward(seconds=5)
    assert sids(twilio.server, **{"DateSent>": "2026-03-03"}) == [sent]
    assert sids(twilio.server, **{"DateSent<": "2026-03-02"}) == [heard]


def test_lists_go_from_page_to_page(twilio: TwilioWorld) -> None:
    list(twilio.gateway.send_batch(texts(5)))
    found: list[str] = []
    query = {"PageSize": "2"}
    while query:
        _, page = ask(twilio.server, MESSAGES, **query)
        found += sids(twilio.server, **query)
        query = dict(parse_qsl(urlsplit(str(page["next_page_uri"] or "")).query))
    assert sorted(found) == sorted(twilio.network.accepted)


def test_lists_lag_and_hide_as_the_network_is_told(twilio: TwilioWorld) -> None:
    twilio.behave(redacted=True, list_lag=timedelta(seconds=10))
    list(twilio.gateway.send_batch([text()]))
    [sid] = twilio.network.accepted
    assert sids(twilio.server, To=PATIENT) == []
    twilio.clock.forward(seconds=10)
    assert sids(twilio.server, To=PATIENT) == [sid]
    _, fetched = ask(twilio.server, MESSAGES.replace(".json", f"/{sid}.json"))
    assert fetched["body"] == ""
    twilio.server.shown_as = lambda resource: {**resource, "to": "+1555123XXXX"}
    assert sids(twilio.server, To=PATIENT) == [], "what is hidden can not be asked for"
    assert sids(twilio.server) == [sid]


def test_lists_can_be_down(twilio: TwilioWorld) -> None:
    twilio.server.paging = Paging.DOWN
    status, body = ask(twilio.server, MESSAGES)
    assert (status, body["code"]) == (503, 20503)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/SM0.json", 404, 20404),
        ("/2010-04-01/Accounts/AC0/Messages.json", 404, 20404),
    ],
    ids=["no such text", "no such account"],
)
def test_errors_look_like_twilios(server: FakeTwilio, path: str, status: int, code: int) -> None:
    found, body = ask(server, path)
    assert (found, body["code"], body["status"]) == (status, code, status)
    assert {"message", "more_info"} <= body.keys()
