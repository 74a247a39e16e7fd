"""What Twilio says of a text, and what it means to us."""

from datetime import UTC, datetime

import pytest

from service.domain.sms import Blame, ListedSms, ReceiptState
from service.gateways.twilio_fields import (
    inbound_fields,
    may_be_number,
    read_inbound,
    read_listed,
    read_receipt,
    receipt_fields,
)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("accepted", ReceiptState.ACCEPTED),
        ("scheduled", ReceiptState.ACCEPTED),
        ("queued", ReceiptState.QUEUED),
        ("sending", ReceiptState.SENDING),
        ("sent", ReceiptState.SENT),
        ("partially_delivered", ReceiptState.SENT),
        ("delivered", ReceiptState.DELIVERED),
        ("read", ReceiptState.DELIVERED),
        ("undelivered", ReceiptState.UNDELIVERED),
        ("failed", ReceiptState.FAILED),
        ("canceled", ReceiptState.CANCELLED),
        ("a word to come", ReceiptState.OTHER),
        ("", ReceiptState.OTHER),
    ],
)
def test_the_status_words(word: str, state: ReceiptState) -> None:
    receipt = read_receipt({"MessageSid": "SM1", "MessageStatus": word})
    assert (receipt.state, receipt.word) == (state, word)
    assert (receipt.failure is not None) == (state in {ReceiptState.UNDELIVERED, ReceiptState.FAILED})


def test_a_status_callback() -> None:
    fields = {
        "MessageSid": "SM1",
        "MessageStatus": "undelivered",
        "ErrorCode": "30003",
        "mid": "42",
        "To": "+15551230001",
        "RawDlrDoneDate": "2603021500",
        "NotYetInvented": "",
    }
    receipt = read_receipt(fields)
    assert (receipt.provider_sid, receipt.message_id, receipt.segments) == ("SM1", 42, None)
    assert receipt.failure
    assert (receipt.failure.blame, receipt.failure.temporary) == (Blame.RETRY, True)
    assert receipt.fields == fields


def test_the_older_names_do_as_well() -> None:
    receipt = read_receipt({"SmsSid": "SM1", "SmsStatus": "sent"})
    assert (receipt.provider_sid, receipt.state) == ("SM1", ReceiptState.SENT)


@pytest.mark.parametrize(
    ("mid", "message_id"),
    [
        ("42", 42),
        ("0042", 42),
        ("9" * 18, int("9" * 18)),
        ("9" * 19, None),
        ("-1", None),
        ("4 2", None),
        ("٤٢", None),
        ("²", None),
        ("", None),
    ],
)
def test_our_id_is_a_plain_number_or_nothing(mid: str, message_id: int | None) -> None:
    assert read_receipt({"MessageSid": "SM1", "mid": mid}).message_id == message_id


RESOURCE: dict[str, object] = {
    "sid": "SM1",
    "status": "undelivered",
    "error_code": 30005,
    "error_message": None,
    "from": "+15550009999",
    "to": "+15551230001",
    "body": "Your visit is tomorrow.",
    "num_segments": "2",
    "num_media": "0",
    "date_created": "Mon, 02 Mar 2026 15:00:00 +0000",
    "date_sent": None,
    "price": None,
}


def test_a_fetched_text_reads_like_its_callback() -> None:
    receipt = read_receipt(receipt_fields(RESOURCE))
    assert (receipt.provider_sid, receipt.state, receipt.segments) == ("SM1", ReceiptState.UNDELIVERED, 2)
    assert receipt.failure
    assert receipt.failure.code == "30005"
    assert receipt.fields.keys() == {
        "MessageSid", "MessageStatus", "ErrorCode", "From", "To", "NumSegments", "DateCreated"
    }  # fmt: skip


def test_a_listed_text_from_a_phone_reads_like_its_webhook() -> None:
    sms = read_inbound(inbound_fields(RESOURCE | {"status": "received", "direction": "inbound"}))
    assert (sms.provider_sid, sms.from_number, sms.body) == ("SM1", "+15550009999", "Your visit is tomorrow.")
    assert sms.received_at == datetime(2026, 3, 2, 15, tzinfo=UTC)


def test_a_webhook_with_a_text_from_a_phone() -> None:
    fields = {
        "MessageSid": "SM2",
        "From": "+15551230001",
        "To": "+15550009999",
        "Body": "STOP",
        "OptOutType": "STOP",
        "MessagingServiceSid": "MG1",
    }
    sms = read_inbound(fields)
    assert (sms.from_number, sms.to_number, sms.messaging_service) == ("+15551230001", "+15550009999", "MG1")
    assert (sms.body, sms.received_at, sms.fields) == ("STOP", None, fields)


def test_a_picture_without_words_is_an_empty_text() -> None:
    assert read_inbound({"MessageSid": "MM1", "From": "+15551230001", "NumMedia": "1"}).body == ""


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("Mon, 02 Mar 2026 15:00:00 +0000", datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 15:00:00 -0000", datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 10:00:00 -0500", datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
    ],
)
def test_when_a_text_came(date: str, moment: datetime | None) -> None:
    assert read_inbound({"MessageSid": "SM1", "DateSent": date}).received_at == moment


# A text in a list

LISTED = {
    "sid": "SM1",
    "to": "+15551230001",
    "body": "Your visit is tomorrow.",
    "direction": "outbound-api",
    "date_created": "Mon, 02 Mar 2026 15:00:07 +0000",
    "date_sent": None,
    "status": "queued",
}


def test_a_listed_text_is_read() -> None:
    at = datetime(2026, 3, 2, 15, 0, 7, tzinfo=UTC)
    assert read_listed(LISTED) == ListedSms("SM1", "+15551230001", "Your visit is tomorrow.", at, ReceiptState.QUEUED)


@pytest.mark.parametrize(
    ("direction", "ours"),
    [
        ("outbound-api", True),
        ("outbound", True),
        ("outbound-reply", False),
        ("outbound-call", False),
        ("inbound", False),
    ],
)
def test_only_what_a_request_created_is_ours(direction: str, *, ours: bool) -> None:
    assert (read_listed(LISTED | {"direction": direction}) is not None) is ours


@pytest.mark.parametrize(
    "change",
    [{"body": ""}, {"body": None}, {"to": "+1555123XXXX"}, {"to": "+1555123****"}],
    ids=["empty", "none", "number masked", "number masked with stars"],
)
def test_a_text_without_words_or_number_counts_as_one_without_words(change: dict[str, object]) -> None:
    listed = read_listed(LISTED | change)
    assert listed is not None
    assert listed.body is None


def test_a_text_may_come_without_the_field_of_words() -> None:
    listed = read_listed({name: value for name, value in LISTED.items() if name != "body"})
    assert listed is not None
    assert listed.body is None


def test_a_status_nobody_knows_is_some_status() -> None:
    listed = read_listed(LISTED | {"status": "teleported"})
    assert listed is not None
    assert listed.state is ReceiptState.OTHER


@pytest.mark.parametrize("date", ["", "2026-03-02", None, "yesterday"])
def test_a_listed_text_without_a_moment_is_half_a_resource(date: str | None) -> None:
    with pytest.raises(ValueError, match="no moment"):
        read_listed(LISTED | {"date_created": date})


@pytest.mark.parametrize(
    ("shown", "may_be"),
    [
        ("+15551230001", True),
        ("+15551230002", False),
        ("+1555123XXXX", True),
        ("+1555124XXXX", False),
        ("15551230001", True),
        ("+1 (555) 123-0001", True),
        ("", False),
    ],
)
def test_whether_a_number_shown_may_be_the_one_asked_for(shown: str, *, may_be: bool) -> None:
    assert may_be_number(shown, "+15551230001") is may_be
