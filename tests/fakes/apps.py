"""The whole service on a database of a test, with a clock that stands still until it is moved."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from service.assembly import App, build
from service.settings import Settings
from tests.store.factories import NOW

TWILIO_TOKEN = "the token of these tests"
PUBLIC = "https://texts.example.org"


class StoppedClock:
    """Shows ``now`` until somebody moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


def app_on(database_url: str, clock: StoppedClock, **settings: Any) -> App:
    """Wired as always: simulated unless the settings say otherwise."""
    wanted: dict[str, Any] = {"database_url": database_url, "secret_key": SecretStr("key")} | settings
    return build(Settings(**wanted), clock=clock)


TWILIO_SETTINGS: dict[str, Any] = {
    "gateway": "twilio",
    "public_base_url": PUBLIC,
    "twilio": {"account_sid": "AC1", "auth_token": TWILIO_TOKEN, "from_number": "+13125550199"},
}
