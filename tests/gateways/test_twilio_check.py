"""What is told of an account, its sender and its registration, by what Twilio says of them."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from service.domain.sms import Sender
from service.gateways.twilio_check import Check, check_account

ACCOUNT = "https://api.twilio.com/2010-04-01/Accounts/AC1"
SERVICE = "https://messaging.twilio.com/v1/Services/MG1"
LOCAL, TOLL_FREE, BRITISH = "+13125550123", "+18005550199", "+447700900123"
VERIFICATIONS = "https://messaging.twilio.com/v1/Tollfree/Verifications?TollfreePhoneNumberSid=PN1"


def asked(sender: Sender, answers: Mapping[str, Any], *, inbound_url: str | None = None) -> dict[str, Check]:
    """The checks by name; what ``answers`` does not hold is refused, as by an API key that may not see it."""

    async def get(uri: str, params: dict[str, object] | None = None) -> dict[str, Any]:
        if uri not in answers:
            raise TwilioRestException(401, uri, "Authenticate", code=20003)
        return dict(answers[uri])

    return {check.name: check for check in asyncio.run(check_account(get, ACCOUNT, sender, inbound_url=inbound_url))}


def number(phone: str, *, sms: bool = True) -> dict[str, Any]:
    at = f"{ACCOUNT}/IncomingPhoneNumbers.json?PhoneNumber=%2B{phone[1:]}"
    return {at: {"incoming_phone_numbers": [{"sid": "PN1", "phone_number": phone, "capabilities": {"sms": sms}}]}}


def service(*phones: str, campaigns: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        SERVICE: {"sid": "MG1"},
        f"{SERVICE}/PhoneNumbers?PageSize=400": {
            "phone_numbers": [{"sid": "PN1", "phone_number": phone} for phone in phones]
        },
        f"{SERVICE}/Compliance/Usa2p": {"compliance": [{"campaign_status": state} for state in campaigns]},
    }


def verified(*states: str) -> dict[str, Any]:
    return {VERIFICATIONS: {"verifications": [{"status": state} for state in states]}}


@pytest.mark.parametrize(
    ("answers", "ok", "detail"),
    [
        ({f"{ACCOUNT}.json": {"status": "active"}}, True, "in order"),
        ({f"{ACCOUNT}.json": {"status": "suspended"}}, False, "the account is suspended"),
        ({f"{ACCOUNT}/Messages.json?PageSize=1": {}}, True, "in order, as far as this key may see"),
        ({}, False, "refused"),
    ],
    ids=["active", "suspended", "a standard key", "a wrong key"],
)
def test_the_account(answers: Mapping[str, Any], ok: bool, detail: str) -> None:
    check = asked(Sender(), answers)["twilio account"]
    assert (check.ok, bool(check.fix)) == (ok, not ok)
    assert detail in check.detail or not answers


@pytest.mark.parametrize(
    ("sender", "answers", "ok", "detail"),
    [
        (Sender(number=LOCAL), number(LOCAL), True, "see in the console"),
        (Sender(number=BRITISH), number(BRITISH), True, "in order"),
        (Sender(number=TOLL_FREE), number(TOLL_FREE) | verified("TWILIO_APPROVED"), True, "in order"),
        (
            Sender(number=TOLL_FREE),
            number(TOLL_FREE) | verified("IN_REVIEW"),
            False,
            "the verification of the toll-free number …0199 is IN_REVIEW",
        ),
        (
            Sender(number=TOLL_FREE),
            number(TOLL_FREE) | verified(),
            False,
            "the verification of the toll-free number …0199 is missing",
        ),
        (Sender(messaging_service="MG1"), service(), True, "in order"),
        (Sender(messaging_service="MG1"), service(BRITISH), True, "in order"),
        (Sender(messaging_service="MG1"), service(LOCAL, campaigns=("FAILED", "VERIFIED")), True, "in order"),
        (
            Sender(messaging_service="MG1"),
            service(LOCAL, campaigns=("IN_PROGRESS",)),
            False,
            "the campaign of its US numbers is IN_PROGRESS",
        ),
        (Sender(messaging_service="MG1"), service(LOCAL), False, "the campaign of its US numbers is missing"),
        (
            Sender(messaging_service="MG1"),
            service(LOCAL, TOLL_FREE) | verified("TWILIO_REJECTED"),
            False,
            "…0199 is TWILIO_REJECTED; the campaign of its US numbers is missing",
        ),
    ],
    ids=[
        "a local US number, of which Twilio tells nothing",
        "a number of another country",
        "a toll-free number that is verified",
        "a toll-free number under review",
        "a toll-free number nobody registered",
        "a service without numbers",
        "a service outside the US",
        "a service whose second campaign is verified",
        "a service whose campaign is not ready",
        "a service without a campaign",
        "a service with two faults",
    ],
)
def test_the_registration(sender: Sender, answers: Mapping[str, Any], ok: bool, detail: str) -> None:
    check = asked(sender, answers)["twilio registration"]
    assert (check.ok, bool(check.fix)) == (ok, not ok)
    assert detail in check.detail


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        (number(LOCAL, sms=False), "not able to send texts"),
        ({next(iter(number(LOCAL))): {"incoming_phone_numbers": []}}, "not a number of this account"),
    ],
    ids=["a number for calls alone", "somebody else's number"],
)
def test_a_number_that_cannot_text(answers: Mapping[str, Any], detail: str) -> None:
    check = asked(Sender(number=LOCAL), answers)["twilio sender"]
    assert (check.ok, check.detail) == (False, detail)
    assert check.fix


def test_a_registration_that_this_key_may_not_see_is_no_fault() -> None:
    checks = asked(Sender(messaging_service="MG1"), {SERVICE: {"sid": "MG1"}})
    assert (checks["twilio sender"].ok, checks["twilio registration"].ok) == (True, True)
    assert "see in the console" in checks["twilio registration"].detail


OURS = "https://texts.example.org/webhooks/twilio/inbound"


@pytest.mark.parametrize(
    ("told", "inbound_url", "ok", "detail"),
    [
        ((OURS,), OURS, True, "come to us"),
        (("https://old.example.org/sms",), OURS, False, "go to https://old.example.org/sms"),
        ((None,), OURS, False, "go to no address"),
        ((), OURS, True, "does not tell"),
        (("https://old.example.org/sms",), None, True, "by asking"),
    ],
    ids=["to us", "to somebody else", "nowhere", "not told", "fetched"],
)
@pytest.mark.parametrize("of", ["number", "service"])
def test_where_answers_of_patients_go(
    of: str, told: tuple[str | None, ...], inbound_url: str | None, ok: bool, detail: str
) -> None:
    if of == "number":
        (at, answer), *_ = number(BRITISH).items()
        (ours,) = answer["incoming_phone_numbers"]
        answers = {at: {"incoming_phone_numbers": [ours | dict.fromkeys(["sms_url"][: len(told)], *told)]}}
        sender = Sender(number=BRITISH)
    else:
        answers = service() | {SERVICE: dict.fromkeys(["inbound_request_url"][: len(told)], *told)}
        sender = Sender(messaging_service="MG1")
    check = asked(sender, answers, inbound_url=inbound_url)["twilio inbound"]
    assert (check.ok, bool(check.fix)) == (ok, not ok)
    assert detail in check.detail


def test_a_service_may_leave_answers_to_its_numbers() -> None:
    answers = service() | {SERVICE: {"use_inbound_webhook_on_number": True, "inbound_request_url": None}}
    check = asked(Sender(messaging_service="MG1"), answers, inbound_url=OURS)["twilio inbound"]
    assert check.ok
    assert "each number" in check.detail


def test_a_name_as_sender_is_listed_nowhere() -> None:
    assert list(asked(Sender(number="CLINIC"), {})) == ["twilio account"]
