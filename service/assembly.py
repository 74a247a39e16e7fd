"""The one place that wires the parts together, and the only reader of the wall clock."""

import os
import platform
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from service.domain.clock import Clock
from service.domain.errors import AftercareError
from service.domain.sms import SmsGateway
from service.flows import (
    dispatcher,
    guard,
    inbox,
    nightly,
    planner,
    receipts,
    recovery,
    retention,
    sample,
    watching,
)
from service.flows.policy import Approval, SendingPolicy
from service.gateways.simulated import SimulatedGateway, SimulatedNetwork
from service.settings import Settings, with_secret_key
from service.store import diagnosis, running
from service.store.database import create_engine_for, revisions, session_factory
from service.store.seals import seal_with

SIMULATED_SENDER = "+15005550006"
"""Twilio's magic number that may send: https://www.twilio.com/docs/iam/test-credentials"""

BREATH = 0.05
"""Seconds that the nightly proof stands back after every thousand texts: so sending has the processor half of the time."""

Tick = Callable[[], int]
"""One run of one chore; returns how many rows it worked on. As often as you like: where nothing is to do, nothing is done."""


@dataclass(frozen=True, slots=True)
class App:
    """Everything wired. ``ticks``: plan, dispatch, recover, receipts, inbound, watch, verify, retention.

    Setting ``stopping`` ends long ones early.
    """

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    gateway: SmsGateway
    clock: Clock
    policy: SendingPolicy
    ticks: Mapping[str, Tick]
    stopping: threading.Event

    def close(self) -> None:
        """Let texts under way finish, then let go of everything."""
        self.gateway.close()
        self.engine.dispose()


def utc_now() -> datetime:
    return datetime.now(UTC)


def build(settings: Settings, *, clock: Clock | None = None) -> App:
    """Wire everything; the database is not asked yet. ``clock`` stands in for the wall clock."""
    key_lasts = settings.secret_key is not None or settings.sqlite_file is not None
    settings, clock = with_secret_key(settings), clock or utc_now
    engine = create_engine_for(settings.database_url.get_secret_value())
    engine.hide_parameters = True  # what an error quotes would be texts and numbers
    sessions, gateway, policy = session_factory(engine), _gateway(settings, clock), _policy(settings)
    if key_lasts and settings.secret_key is not None:
        seal_with(sessions, settings.secret_key.get_secret_value())
    stopping = threading.Event()
    ticks = _ticks(settings, sessions, gateway, clock=clock, policy=policy, stopping=stopping)
    return App(settings, engine, sessions, gateway, clock, policy, ticks, stopping)


def require_schema(app: App) -> None:
    """Raises where the database is not at the schema that this version works with."""
    has, needs = revisions(app.engine)
    if has != needs:
        raise AftercareError(
            f"The database is at schema {has or 'none'}, and this version needs {needs}. Nothing was changed. "
            "Run `aftercare migrate` first."
        )


def prepare(app: App) -> None:
    """Before work begins: look at the schema, and bring the default sender in line with the settings."""
    require_schema(app)
    chosen = app.settings.twilio
    simulated = app.settings.gateway == "simulated" and not chosen.messaging_service_sid
    with app.sessions.begin() as db:
        running.ensure_default_sender(
            db,
            number=chosen.from_number or (SIMULATED_SENDER if simulated else None),
            messaging_service=chosen.messaging_service_sid,
            segments_per_second=chosen.segments_per_second,
            daily_segments=chosen.daily_segments,
        )
        if app.settings.gateway != "simulated":
            sample.keep_from_phones(db, now=app.clock())


def guard_start(app: App) -> None:
    """Hold sending where this database may not know what has left; before the first claim of a process.

    The pretend network keeps nothing between starts and reaches nobody: there a stop over night is nothing to ask about.
    """
    if app.settings.gateway == "simulated":
        return
    told = app.gateway.their_time() if isinstance(app.gateway, guard.TellsTime) else None
    with app.sessions.begin() as db:
        clocks = diagnosis.clock(db), told
        guard.look_before_sending(db, other_clocks=clocks, account=account_of(app.settings), now=app.clock())


def account_of(settings: Settings) -> str:
    """With whom at the provider texts are sent."""
    return settings.twilio.account_sid or settings.gateway


def polls(settings: Settings) -> bool:
    """Whether receipts and texts from phones are fetched, because nobody brings them."""
    return settings.gateway == "simulated" or settings.public_base_url is None


def _gateway(settings: Settings, clock: Clock) -> SmsGateway:
    if settings.gateway == "simulated":
        return SimulatedGateway(SimulatedNetwork(uuid4().hex), clock)
    # The SDK takes a second to load, and most commands never send.
    from service.gateways.twilio import TwilioConfig, TwilioGateway
    from service.gateways.twilio_transport import TWILIO

    twilio = settings.twilio
    password = twilio.api_key_secret or twilio.auth_token
    if twilio.account_sid is None or password is None:
        raise AftercareError("The Twilio account is not set: AFTERCARE_TWILIO__ACCOUNT_SID and its key or token.")
    return TwilioGateway(
        TwilioConfig(
            account_sid=twilio.account_sid,
            username=twilio.api_key_sid or twilio.account_sid,
            password=password.get_secret_value(),
            base_url=twilio.base_url or TWILIO,
            public_base_url=settings.public_base_url,
        ),
        clock,
    )


def _policy(settings: Settings) -> SendingPolicy:
    """Outside production real texts go to listed numbers only, so that no test ever reaches a patient.

    Questions whose answer is a number go out on the pretend network alone: nobody understands the answers of patients yet.
    """
    guarded = settings.gateway == "twilio" and settings.environment != "production"
    return SendingPolicy(
        answers_understood=settings.gateway == "simulated",
        allowed_recipients=settings.allowed_recipients if guarded else None,
        allowed_countries=settings.allowed_countries or None,
        approval=Approval.REQUIRED if settings.gateway == "twilio" else Approval.WAIVED,
        daily_spend_limit=settings.daily_spend_limit,
        segment_price=settings.twilio.segment_price,
        worker=f"{platform.node()}:{os.getpid()}",
    )


def _ticks(
    settings: Settings,
    sessions: sessionmaker[Session],
    gateway: SmsGateway,
    *,
    clock: Clock,
    policy: SendingPolicy,
    stopping: threading.Event,
) -> dict[str, Tick]:
    def go_on() -> bool:
        return not stopping.is_set()

    def plan() -> int:
        return planner.plan_pending(sessions, clock, answers_understood=policy.answers_understood, go_on=go_on)

    def dispatch() -> int:
        return dispatcher.dispatch_due(sessions, gateway, clock, policy, go_on=go_on, wait=stopping.wait)

    def recover() -> int:
        return recovery.recover(sessions, gateway, clock, wait=timedelta(seconds=settings.recovery.wait_seconds))

    def fetch_inbound() -> int:
        return inbox.poll_inbound(sessions, gateway, clock, stop_replies=settings.twilio.stop_replies)

    asked_at: datetime | None = None

    def ask_for_receipts() -> int:
        """Callbacks get lost: what they should have brought, texts from phones too, is asked for now and then."""
        nonlocal asked_at
        worked_in, began = receipts.apply_pending(sessions, gateway, clock), clock()
        found = receipts.poll_receipts(sessions, gateway, clock, after=_ask_after(settings), last=asked_at)
        # The pretend network is asked about everything each time: it costs nothing, and its clock may stand still.
        asked_at = began if settings.gateway == "twilio" else None
        return worked_in + found if polls(settings) else worked_in + found + fetch_inbound()

    def inbound() -> int:
        """What is here already is not kept waiting by a network that is out."""
        understood = inbox.understand_pending(sessions, clock, stop_replies=settings.twilio.stop_replies)
        return understood + fetch_inbound() if polls(settings) else understood

    return {
        "plan": plan,
        "dispatch": dispatch,
        "recover": recover,
        "receipts": ask_for_receipts,
        "inbound": inbound,
        **_looking_ticks(settings, sessions, clock=clock, policy=policy, stopping=stopping),
        "retention": retention.Retention(sessions, gateway, clock, go_on=go_on),
    }


def _looking_ticks(
    settings: Settings,
    sessions: sessionmaker[Session],
    *,
    clock: Clock,
    policy: SendingPolicy,
    stopping: threading.Event,
) -> dict[str, Tick]:
    """Those that send nothing, but see whether all is well."""

    def stand_back() -> bool:
        return not stopping.wait(BREATH)

    def watch() -> int:
        return watching.watch(sessions, clock, called_back=not polls(settings))

    def verify() -> int:
        return nightly.prove_nightly(sessions, clock, worker=policy.worker, approval=policy.approval, go_on=stand_back)

    return {"watch": watch, "verify": verify}


def _ask_after(settings: Settings) -> timedelta:
    """How long a text is left alone before its fate is asked for; the pretend network is never busy."""
    return timedelta() if settings.gateway == "simulated" else timedelta(minutes=1)
