"""What lies outside: the provider, the account and its sender, and the public address as the provider sees it."""

from collections.abc import Iterator
from contextlib import closing

from service.assembly import App
from service.cli.doctor.finding import Check, judged
from service.domain.sms import Sender
from service.flows.guard import CLOCKS_AGREE, TellsTime
from service.settings import Settings


def look_outside(app: App) -> Iterator[Check]:
    if app.settings.gateway == "twilio":
        yield from _account(app)
        yield from _clock(app)
        yield from _token(app)
        yield _public_address(app.settings)
    else:
        asked_for = f"{app.settings.public_base_url or 'none'}: the pretend network needs none"
        yield judged("gateway", [], well="simulated: reaches nobody")
        yield judged("public address", [], well=asked_for)


def _account(app: App) -> Iterator[Check]:
    # The SDK takes a second to load.
    from service.gateways.twilio import TwilioGateway

    if isinstance(app.gateway, TwilioGateway):
        twilio = app.settings.twilio
        for found in app.gateway.check(Sender(twilio.from_number, twilio.messaging_service_sid)):
            yield Check(found.name, found.ok, found.detail, found.fix)


def _clock(app: App) -> Iterator[Check]:
    """The provider's clock is one that neither this machine nor the database can be wrong together with."""
    theirs = app.gateway.their_time() if isinstance(app.gateway, TellsTime) else None
    if theirs is not None:
        apart = abs(theirs - app.clock())
        detail = f"{apart.total_seconds():.0f} s between this machine and Twilio"
        fix = "Let this machine take its time from the network (NTP); until then a worker that starts holds all texts."
        yield judged("twilio clock", [detail] if apart > CLOCKS_AGREE else [], well=detail, fix=fix)


def _token(app: App) -> Iterator[Check]:
    """Where an API key sends, the token has to do with webhooks alone: a wrong one is not noticed before a patient answers."""
    from service.gateways.twilio import TwilioConfig, TwilioGateway
    from service.gateways.twilio_transport import TWILIO

    twilio = app.settings.twilio
    if not (twilio.account_sid and twilio.auth_token and twilio.api_key_secret):
        return
    account, token = twilio.account_sid, twilio.auth_token.get_secret_value()
    with closing(TwilioGateway(TwilioConfig(account, account, token, twilio.base_url or TWILIO), app.clock)) as asking:
        found, *_ = asking.check(Sender())
    fix = "Copy it from the Twilio console to AFTERCARE_TWILIO__AUTH_TOKEN: with a wrong one every webhook is refused."
    yield judged("twilio auth token", [] if found.ok else [found.detail], well="accepted by Twilio", fix=fix)


def _public_address(settings: Settings) -> Check:
    from service.gateways.twilio_self_call import call_ourselves

    if settings.public_base_url is None:
        return judged("public address", [], well="none: receipts and replies are fetched by asking")
    called = call_ourselves(settings.public_base_url, token=settings.twilio.tokens[0])
    return Check("public address", called.ok, f"{settings.public_base_url} {called.detail}", called.fix)
