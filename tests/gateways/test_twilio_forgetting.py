"""Twilio's copies of texts: deleted, or emptied where the key may not delete; anything doubtful is asked for again."""

import asyncio

import pytest
from twilio.http.response import Response

from service.domain.errors import AftercareError
from service.domain.sms import Accepted, Forgotten
from service.gateways.twilio_forgetting import forget
from tests.gateways.conftest import TwilioWorld, text

UNKNOWN = '{"code": 20404, "message": "not found"}'


def test_words_alone_go_where_the_key_may_not_delete(twilio: TwilioWorld) -> None:
    [(_, outcome)] = twilio.gateway.send_batch([text(body="secret")])
    assert isinstance(outcome, Accepted)
    twilio.clock.forward(seconds=5)
    twilio.server.may_delete = False
    assert twilio.gateway.forget(outcome.provider_sid) is Forgotten.REDACTED
    assert [taken.text.body for taken in twilio.network.accepted.values()] == [""]


def test_words_of_a_text_on_its_way_stay_as_well(twilio: TwilioWorld) -> None:
    [(_, outcome)] = twilio.gateway.send_batch([text()])
    assert isinstance(outcome, Accepted)
    twilio.server.may_delete = False
    with pytest.raises(AftercareError, match="HTTP 403"):
        twilio.gateway.forget(outcome.provider_sid)


def test_a_twilio_that_is_not_there_is_asked_again(twilio: TwilioWorld) -> None:
    twilio.gateway.close()
    with pytest.raises(AftercareError, match="is stopping"):
        twilio.gateway.forget("SM" + "0" * 32)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (204, "", Forgotten.GONE),
        (404, UNKNOWN, Forgotten.GONE),
        (404, "<html>proxy</html>", None),
        (404, '"a word"', None),
        (409, '{"code": 20009}', None),
        (503, UNKNOWN, None),
        (400, UNKNOWN, None),
    ],
    ids=["deleted", "unknown to Twilio", "a proxy's page", "no answer of Twilio's", "on its way", "down", "refused"],
)
def test_what_an_answer_means(status: int, body: str, outcome: Forgotten | None) -> None:
    async def ask(method: str, uri: str, *, data: dict[str, object] | None = None) -> Response:
        assert (method, uri, data) == ("DELETE", "/text", None)
        return Response(status, body)

    if outcome is not None:
        assert asyncio.run(forget(ask, "/text")) is outcome
    else:
        with pytest.raises(AftercareError, match=f"HTTP {status}"):
            asyncio.run(forget(ask, "/text"))
