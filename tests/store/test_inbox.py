"""What comes in is kept as it came, once, whatever it holds."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import Blame, Failure, InboundSms, Receipt, ReceiptState
from service.store import inbox
from service.store.tables import Inbound, RawReceipt
from tests.store import factories
from tests.store.factories import NOW

SMS = InboundSms(
    provider_sid="SM1",
    from_number="+12025550101",
    to_number="+13125550100",
    messaging_service="MG1",
    body="I can not swallow",
    fields={"MessageSid": "SM1", "NumSegments": "1"},
)
RECEIPT = Receipt("SM1", ReceiptState.DELIVERED, "delivered", message_id=7, fields={"MessageStatus": "delivered"})
FAILED = Failure(Blame.RECIPIENT, "30006", "landline", "ask for another number")


def test_a_text_is_kept_as_it_came(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        kept = inbox.add_raw(db, SMS, now=NOW, via="webhook")
    with sessions() as db:
        row = db.get_one(Inbound, kept)
        assert (row.provider_sid, row.from_number, row.to_number) == ("SM1", "+12025550101", "+13125550100")
        assert (row.messaging_service, row.body, row.fields) == ("MG1", "I can not swallow", SMS.fields)
        assert (row.received_at, row.via, row.state, row.failures) == (NOW, "webhook", "new", 0)


def test_a_text_that_comes_twice_is_kept_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        assert inbox.add_raw(db, SMS, now=NOW, via="webhook") is not None
    with sessions.begin() as db:
        assert inbox.add_raw(db, replace(SMS, body="changed"), now=NOW, via="poll") is None
        assert inbox.add_raw(db, replace(SMS, provider_sid="SM2"), now=NOW, via="poll") is not None
        assert [row.body for row in inbox.new_inbound(db, limit=9)] == [SMS.body, SMS.body]


def test_a_text_that_is_fetched_late_keeps_the_time_at_which_it_came(sqlite_sessions: sessionmaker[Session]) -> None:
    came = NOW - timedelta(hours=3)
    with sqlite_sessions.begin() as db:
        kept = inbox.add_raw(db, replace(SMS, received_at=came, messaging_service=None), now=NOW, via="poll")
        row = db.get_one(Inbound, kept)
        assert (row.received_at, row.messaging_service) == (came, None)


@pytest.mark.parametrize(
    ("came", "kept"),
    [
        pytest.param("help\0me", "help\ufffdme", id="a NUL"),
        pytest.param("help \ud83d", "help \ufffd", id="half an emoji"),
        pytest.param("\ud83d\ude00", "😀", id="an emoji in two halves"),
        pytest.param("no puedo respirar 🆘", "no puedo respirar 🆘", id="an emoji"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_nothing_in_a_text_keeps_it_from_being_kept(sessions: sessionmaker[Session], came: str, kept: str) -> None:
    with sessions.begin() as db:
        row_id = inbox.add_raw(db, replace(SMS, body=came, fields={came: came}), now=NOW, via="webhook")
    with sessions() as db:
        row = db.get_one(Inbound, row_id)
        assert (row.body, row.fields) == (kept, {kept: kept})


def test_what_is_longer_than_its_column_is_cut_and_stands_whole_among_the_fields(
    sessions: sessionmaker[Session],
) -> None:
    odd = "sip:" + "x" * 60
    strange = replace(
        SMS, provider_sid=odd, from_number=odd, to_number=odd, messaging_service=odd, fields={"From": odd}
    )
    with sessions.begin() as db:
        row = db.get_one(Inbound, inbox.add_raw(db, strange, now=NOW, via="webhook"))
        assert (row.from_number, row.fields) == (odd[:20], {"From": odd})
        report = replace(RECEIPT, provider_sid=odd, word=odd, failure=replace(FAILED, code=odd))
        raw = db.get_one(RawReceipt, inbox.add_receipt(db, report, now=NOW))
        assert (raw.provider_sid, raw.status, raw.error_code) == (odd[:40], odd[:30], odd[:20])


def test_new_texts_come_oldest_first_until_they_are_understood(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        first, second, third = (factories.inbound(db) for _ in range(3))
        factories.inbound(db, state="understood")
        factories.inbound(db, state="failed", failures=2)
        assert inbox.new_inbound(db, limit=2) == [first, second]
        first.state = "understood"
        assert inbox.new_inbound(db, limit=9) == [second, third]


def test_a_report_is_kept_as_it_came(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        kept = inbox.add_receipt(db, RECEIPT, now=NOW)
    with sessions() as db:
        row = db.get_one(RawReceipt, kept)
        assert (row.provider_sid, row.status, row.error_code, row.message_id) == ("SM1", "delivered", "", 7)
        assert (row.fields, row.received_at, row.applied_at) == (RECEIPT.fields, NOW, None)


def test_each_distinct_report_is_kept_once(sessions: sessionmaker[Session]) -> None:
    reports = [
        RECEIPT,
        replace(RECEIPT, word="sent"),
        replace(RECEIPT, word="failed", failure=FAILED),
        replace(RECEIPT, word="failed", failure=replace(FAILED, code="30003")),
        replace(RECEIPT, provider_sid="SM2"),
    ]
    with sessions.begin() as db:
        assert None not in [inbox.add_receipt(db, report, now=NOW) for report in reports]
    with sessions.begin() as db:
        assert [inbox.add_receipt(db, report, now=NOW) for report in reports] == [None] * 5


def test_new_reports_come_oldest_first_until_they_are_worked_in_or_given_up(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        words = ("queued", "sent", "delivered")
        ids = [inbox.add_receipt(db, replace(RECEIPT, word=word), now=NOW) for word in words]
        first, second, third = (db.get_one(RawReceipt, row_id) for row_id in ids)
        assert inbox.new_receipts(db, limit=2) == [first, second]
        first.applied_at = NOW
        second.failures = 1
        assert inbox.new_receipts(db, limit=9) == [second, third]
        second.failures = inbox.TRIES
        assert inbox.new_receipts(db, limit=9) == [third]
