"""How the parts are wired, as the settings say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service import assembly
from service.assembly import App, prepare, require_schema, utc_now
from service.domain.errors import AftercareError
from service.domain.sms import Accepted, OutgoingSms, Sender
from service.flows import inbox, receipts
from service.flows.policy import Approval
from service.gateways.simulated import SimulatedGateway
from service.gateways.twilio import TwilioGateway
from service.settings import Settings
from service.store import tables
from service.store.database import downgrade
from tests.fakes.apps import TWILIO_SETTINGS, StoppedClock, app_on
from tests.store import factories

FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(sqlite_sessions: sessionmaker[Session]) -> str:
    return str(sqlite_sessions.kw["bind"].url)


def wired(url: str, **settings: Any) -> App:
    app = app_on(url, StoppedClock(), **settings)
    app.close()
    return app


def sender(app: App) -> tables.Sender:
    with app.sessions() as db:
        return db.scalars(select(tables.Sender)).one()


def test_the_wall_clock_shows_utc() -> None:
    assert utc_now().tzinfo is UTC


def test_the_gateway_is_the_one_that_was_chosen(url: str) -> None:
    assert isinstance(wired(url).gateway, SimulatedGateway)
    assert isinstance(wired(url, **TWILIO_SETTINGS).gateway, TwilioGateway)


def test_twilio_without_an_account_is_refused(url: str) -> None:
    with pytest.raises(AftercareError, match="AFTERCARE_TWILIO__ACCOUNT_SID"):
        app_on(url, StoppedClock(), gateway="twilio")


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        pytest.param({}, None, id="pretend network: anybody"),
        pytest.param(TWILIO_SETTINGS, set(), id="trying Twilio out: nobody"),
        pytest.param(
            TWILIO_SETTINGS | {"environment": "staging", "allowed_recipients": "+12025550123"},
            {"+12025550123"},
            id="staging: those that are listed",
        ),
        pytest.param(TWILIO_SETTINGS | {"environment": "production"}, None, id="production: anybody"),
        pytest.param(
            TWILIO_SETTINGS | {"environment": "production", "allowed_recipients": "+12025550123"},
            None,
            id="production: the list is for other places",
        ),
    ],
)
def test_who_may_be_texted(url: str, settings: dict[str, Any], allowed: object) -> None:
    listed = wired(url, **settings).policy.allowed_recipients
    assert (None if listed is None else set(listed)) == allowed


def test_which_countries_may_be_texted(url: str) -> None:
    assert wired(url).policy.allowed_countries is None
    assert wired(url, allowed_countries="us,gb").policy.allowed_countries == frozenset({"US", "GB"})


def test_texts_have_to_be_approved_where_they_reach_phones(url: str) -> None:
    assert wired(url).policy.approval is Approval.WAIVED
    assert wired(url, **TWILIO_SETTINGS).policy.approval is Approval.REQUIRED


def test_what_a_day_of_texts_may_cost(url: str) -> None:
    assert wired(url).policy.daily_spend_limit is None
    limited = wired(url, daily_spend_limit=Decimal(25), twilio={"segment_price": Decimal("0.02")}).policy
    assert (limited.daily_spend_limit, limited.segment_price) == (Decimal(25), Decimal("0.02"))


@pytest.mark.parametrize(
    ("settings", "number", "service"),
    [
        pytest.param({}, "+15005550006", None, id="pretend network: a number that exists only there"),
        pytest.param(
            {"twilio": {"from_number": "+12025550123"}}, "+12025550123", None, id="pretend network with a number"
        ),
        pytest.param({"twilio": {"messaging_service_sid": "MG1"}}, None, "MG1", id="pretend network with a service"),
        pytest.param(TWILIO_SETTINGS, "+13125550199", None, id="number"),
        pytest.param(
            TWILIO_SETTINGS | {"twilio": {"account_sid": "AC1", "auth_token": "t", "messaging_service_sid": "MG1"}},
            None,
            "MG1",
            id="service",
        ),
    ],
)
def test_the_default_sender_follows_the_settings(
    url: str, settings: dict[str, Any], number: str | None, service: str | None
) -> None:
    app = wired(url, **settings)
    prepare(app)
    assert (sender(app).number, sender(app).messaging_service) == (number, service)


def test_so_do_its_rates(url: str) -> None:
    app = wired(url, twilio={"segments_per_second": 20, "daily_segments": 2000})
    prepare(app)
    assert (sender(app).segments_per_second, sender(app).daily_segments) == (20, 2000)


def test_no_work_begins_on_another_schema(url: str) -> None:
    app = wired(url)
    require_schema(app)
    downgrade(app.engine, "base")
    with pytest.raises(
        AftercareError, match=r"is at schema none, and this version needs .* Run `aftercare migrate` first"
    ):
        prepare(app)


def test_a_sample_clinic_is_quiet_once_texts_are_real(url: str) -> None:
    app = wired(url, **TWILIO_SETTINGS)
    with app.sessions.begin() as db:
        factories.clinic(db, sample=True)
        factories.clinic(db)
    prepare(app)
    with app.sessions() as db:
        paused = dict(db.execute(select(tables.Clinic.sample, tables.Clinic.paused_at.is_not(None))).all())
    assert paused == {True: True, False: False}


def test_an_error_of_the_database_does_not_quote_what_it_was_given(url: str) -> None:
    assert wired(url).engine.hide_parameters


def test_a_key_is_there_in_any_case(url: str) -> None:
    app = assembly.build(Settings(database_url=SecretStr(url)))
    assert app.settings.secret_key is not None
    assert app.settings.sqlite_file is not None
    assert app.settings.sqlite_file.with_name("aftercare.db.key").exists()


class TestFetching:
    """Where nobody brings us receipts and texts, ticks fetch them; where Twilio calls, they are asked for now and then."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        asked: list[str] = []

        def note(what: str) -> Any:
            def noted(*_: Any, **how: Any) -> int:
                asked.append(what if "after" not in how else f"{what} {how['after'].total_seconds():.0f}")
                return 1

            return noted

        monkeypatch.setattr(receipts, "apply_pending", note("reports kept"))
        monkeypatch.setattr(receipts, "poll_receipts", note("receipts after"))
        monkeypatch.setattr(inbox, "poll_inbound", note("texts"))
        monkeypatch.setattr(inbox, "understand_pending", note("texts kept"))
        return asked

    @pytest.mark.parametrize(
        ("settings", "tick", "what"),
        [
            pytest.param({}, "inbound", ["texts kept", "texts"], id="pretend network, texts"),
            pytest.param({}, "receipts", ["reports kept", "receipts after 0"], id="pretend network, receipts"),
            pytest.param(TWILIO_SETTINGS, "inbound", ["texts kept"], id="Twilio calls, texts"),
            pytest.param(
                TWILIO_SETTINGS, "receipts", ["reports kept", "receipts after 60", "texts"], id="Twilio calls, all else"
            ),
            pytest.param(
                TWILIO_SETTINGS | {"public_base_url": None},
                "inbound",
                ["texts kept", "texts"],
                id="Twilio asked, texts",
            ),
            pytest.param(
                TWILIO_SETTINGS | {"public_base_url": None},
                "receipts",
                ["reports kept", "receipts after 60"],
                id="Twilio asked, receipts",
            ),
        ],
    )
    def test_what_a_tick_asks_for(
        self, url: str, asked: list[str], settings: dict[str, Any], tick: str, what: list[str]
    ) -> None:
        assert wired(url, **settings).ticks[tick]() == len(what)
        assert asked == what


def test_each_process_has_a_network_of_its_own(url: str) -> None:
    sms = OutgoingSms(1, 1, "+12025550100", "Hello", Sender(number="+15005550006"), 3600, FAR)
    sids = set()
    for app in (wired(url), wired(url)):
        ((_, outcome),) = app.gateway.send_batch([sms])
        assert isinstance(outcome, Accepted)
        sids.add(outcome.provider_sid)
    assert len(sids) == 2


def test_the_pretend_network_lives_on_the_services_clock(url: str) -> None:
    clock = StoppedClock()
    app = app_on(url, clock)
    sms = OutgoingSms(1, 1, "+12025550100", "Hello", Sender(number="+15005550006"), 3600, FAR)
    ((_, outcome),) = app.gateway.send_batch([sms])
    assert isinstance(outcome, Accepted)
    states = []
    for _ in range(2):
        states += [receipt.state.value for receipt in app.gateway.receipts_for([outcome.provider_sid])]
        clock.move(timedelta(minutes=1))
    assert states[-1] == "delivered" != states[0]
    app.close()
