"""Twilio's webhooks: who is let in, in which order things are looked at, and that nothing that came is lost."""

from collections.abc import Mapping
from urllib.parse import urlencode

import pytest
from httpx2 import Response
from sqlalchemy import func, select, text
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient
from structlog.typing import EventDict
from twilio.request_validator import RequestValidator

from service.assembly import App
from service.store.tables import Inbound, Message, RawReceipt
from service.web.door import MOST_BYTES
from tests.fakes.apps import PUBLIC, TWILIO_SETTINGS, TWILIO_TOKEN
from tests.store import factories

STATUS, INBOUND = "/webhooks/twilio/status", "/webhooks/twilio/inbound"
FORM = "application/x-www-form-urlencoded"
TEXT = {
    "MessageSid": "SM00000000000000000000000000000001",
    "AccountSid": "AC1",
    "From": "+12025550100",
    "To": "+13125550199",
    "Body": "How long until it works? ¿Cuánto? 🙏",
    "NumMedia": "0",
    "Nobody_has_heard_of": "this",
    "FromCity": "",
}
REPORT = {"MessageSid": "SM00000000000000000000000000000002", "MessageStatus": "delivered", "ErrorCode": ""}


def post(
    client: TestClient,
    where: str,
    fields: Mapping[str, str],
    *,
    token: str = TWILIO_TOKEN,
    signed: Mapping[str, str] | None = None,
    signed_at: str = PUBLIC,
) -> Response:
    """As Twilio posts, signed; ``signed`` and ``signed_at`` are what was signed where that differs from what is sent."""
    signature = RequestValidator(token).compute_signature(
        f"{signed_at}{where}", dict(fields if signed is None else signed)
    )
    headers = {"Content-Type": FORM, "X-Twilio-Signature": str(signature)}
    return client.post(where, content=urlencode(fields), headers=headers)


def count(app: App, table: type[Inbound] | type[RawReceipt]) -> int:
    with app.sessions() as db:
        return db.scalar(select(func.count()).select_from(table)) or 0


def test_a_text_is_kept_whole_and_answered_with_nothing(app: App, client: TestClient) -> None:
    with app.sessions.begin() as db:
        factories.clinic(db)
    answer = post(client, INBOUND, TEXT)
    assert (answer.status_code, answer.text) == (200, "<Response/>")
    assert answer.headers["content-type"].startswith("text/xml")
    with app.sessions() as db:
        kept = db.scalars(select(Inbound)).one()
    assert (kept.provider_sid, kept.from_number, kept.body) == (TEXT["MessageSid"], "+12025550100", TEXT["Body"])
    assert kept.fields == TEXT
    assert (kept.via, kept.state) == ("webhook", "understood")


def test_a_report_is_kept_and_worked_in(app: App, client: TestClient) -> None:
    with app.sessions.begin() as db:
        patient = factories.patient(db, factories.clinic(db))
        sent = factories.message(db, patient, state="sent", provider_sid=REPORT["MessageSid"], to_number=patient.phone)
        factories.attempt(db, sent, provider_sid=REPORT["MessageSid"])
    answer = post(client, f"{STATUS}?mid={sent.id}", REPORT)
    assert (answer.status_code, answer.content) == (204, b"")
    with app.sessions() as db:
        kept = db.scalars(select(RawReceipt)).one()
        assert (kept.message_id, kept.status, kept.fields["ErrorCode"]) == (sent.id, "delivered", "")
        assert db.get_one(Message, sent.id).state == "delivered"


@pytest.mark.parametrize(
    ("where", "fields", "status"), [(INBOUND, TEXT, 200), (STATUS, REPORT, 204)], ids=["text", "report"]
)
def test_what_comes_twice_is_answered_alike_and_changes_nothing(
    app: App, client: TestClient, where: str, fields: dict[str, str], status: int
) -> None:
    answers = [post(client, where, fields) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, status]
    assert answers[0].content == answers[1].content
    assert count(app, Inbound) + count(app, RawReceipt) == 1


@pytest.mark.parametrize("where", [STATUS, INBOUND], ids=["status", "inbound"])
class TestWhoIsLetIn:
    @pytest.fixture
    def database_url(self, sqlite_sessions: sessionmaker[Session]) -> str:
        """Nobody gets as far as the database here, so that one engine is enough."""
        return str(sqlite_sessions.kw["bind"].url)

    def test_no_signature(self, app: App, client: TestClient, where: str) -> None:
        answer = client.post(where, content=urlencode(TEXT), headers={"Content-Type": FORM})
        assert answer.status_code == 403
        assert count(app, Inbound) == 0

    def test_signed_with_another_token(self, client: TestClient, logged: list[EventDict], where: str) -> None:
        assert post(client, where, TEXT, token="guessed").status_code == 403
        assert logged == [{"event": "webhook_refused", "why": "bad_signature", "log_level": "warning"}]

    def test_a_field_was_changed_on_the_way(self, client: TestClient, where: str) -> None:
        assert post(client, where, TEXT | {"Body": "STOP"}, signed=TEXT).status_code == 403

    def test_a_blank_field_was_dropped_on_the_way(self, client: TestClient, where: str) -> None:
        without = {name: value for name, value in TEXT.items() if value}
        assert post(client, where, without, signed=TEXT).status_code == 403

    def test_signed_for_the_name_in_the_host_header(self, client: TestClient, where: str) -> None:
        assert post(client, where, TEXT, signed_at="http://somebody-elses-name").status_code == 403

    def test_the_query_is_part_of_what_is_signed(self, client: TestClient, where: str) -> None:
        signed = RequestValidator(TWILIO_TOKEN).compute_signature(f"{PUBLIC}{where}?mid=1", TEXT)
        headers = {"Content-Type": FORM, "X-Twilio-Signature": str(signed)}
        assert client.post(f"{where}?mid=2", content=urlencode(TEXT), headers=headers).status_code == 403

    def test_signed_but_about_no_text(self, app: App, client: TestClient, where: str) -> None:
        nameless = {name: value for name, value in TEXT.items() if name != "MessageSid"} | {"SmsSid": "SM1"}
        assert post(client, where, nameless).status_code == 400
        assert count(app, Inbound) + count(app, RawReceipt) == 0

    def test_over_64_kb_is_refused_before_anything_else_is_looked_at(self, client: TestClient, where: str) -> None:
        assert client.post(where, content=b"x" * (MOST_BYTES + 1)).status_code == 413

    def test_64_kb_are_read(self, client: TestClient, where: str) -> None:
        assert client.post(where, content=b"x" * MOST_BYTES, headers={"Content-Type": FORM}).status_code == 403

    def test_what_comes_in_pieces_is_measured_as_a_whole(self, client: TestClient, where: str) -> None:
        pieces = (b"x" * 1024 for _ in range(65))
        assert client.post(where, content=pieces, headers={"Content-Type": FORM}).status_code == 413

    @pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
    def test_other_kinds_are_refused_before_the_signature(self, client: TestClient, where: str, kind: str) -> None:
        assert client.post(where, content=b"{}", headers={"Content-Type": kind}).status_code == 415

    def test_a_kind_may_name_its_letters(self, client: TestClient, where: str) -> None:
        headers = {"Content-Type": f"{FORM.upper()}; charset=UTF-8"}
        assert client.post(where, content=urlencode(TEXT), headers=headers).status_code == 403

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
    def test_other_methods_are_refused(self, client: TestClient, where: str, method: str) -> None:
        assert client.request(method, where).status_code == 405

    def test_a_body_that_is_no_text_is_refused(self, client: TestClient, where: str) -> None:
        headers = {"Content-Type": FORM, "X-Twilio-Signature": "x"}
        assert client.post(where, content=b"Body=\xff\xfe%ff%ed%a0%80", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "settings", [TWILIO_SETTINGS | {"twilio": TWILIO_SETTINGS["twilio"] | {"auth_token_previous": "the one before"}}]
)
def test_while_the_token_is_replaced_both_are_good(client: TestClient) -> None:
    report = REPORT | {"MessageStatus": "sent"}
    assert [
        post(client, STATUS, REPORT).status_code,
        post(client, STATUS, report, token="the one before").status_code,
    ] == [
        204,
        204,
    ]


@pytest.mark.parametrize("settings", [{"twilio": {"auth_token": TWILIO_TOKEN}, "public_base_url": PUBLIC}])
def test_on_the_pretend_network_nobody_is_let_in(client: TestClient) -> None:
    assert post(client, INBOUND, TEXT).status_code == 403


def test_where_understanding_fails_the_text_is_safe_and_twilio_is_told_that_all_is_well(
    app: App, client: TestClient
) -> None:
    with app.sessions.begin() as db:
        db.execute(text("ALTER TABLE consent RENAME TO consent_away"))
        db.execute(text("ALTER TABLE journal RENAME TO journal_away"))
    assert post(client, INBOUND, TEXT | {"Body": "STOP"}).status_code == 200
    assert post(client, STATUS, REPORT).status_code == 204
    assert (count(app, Inbound), count(app, RawReceipt)) == (1, 1)


def test_where_nothing_can_be_kept_twilio_is_asked_to_come_again(app: App, client: TestClient) -> None:
    with app.sessions.begin() as db:
        db.execute(text("ALTER TABLE inbound RENAME TO inbound_away"))
    answer = post(client, INBOUND, TEXT)
    assert answer.status_code == 503
    assert TEXT["Body"] not in answer.text


def test_where_no_connection_is_free_twilio_is_asked_to_come_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_in_vain(*_: object, **__: object) -> None:
        raise NoConnectionError("QueuePool limit of size 5 overflow 10 reached")

    monkeypatch.setattr("service.store.inbox.add_raw", wait_in_vain)
    assert post(client, INBOUND, TEXT).status_code == 503
