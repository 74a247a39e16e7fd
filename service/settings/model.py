"""The settings themselves: names, kinds and defaults."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url

from service.flows.policy import SEGMENT_PRICE
from service.settings.words import (
    AccountSid,
    AnyCase,
    ApiKeySid,
    Countries,
    DatabaseUrl,
    FromNumber,
    Numbers,
    SafeWebAddress,
    ServiceSid,
    WebAddress,
)

PREFIX = "AFTERCARE_"


class Part(BaseModel):
    """Settings that belong together; ``__`` stands before each of them in the environment."""

    model_config = ConfigDict(frozen=True)


class Twilio(Part):
    """``segments_per_second`` and ``daily_segments`` are those of the default sender.

    ``segment_price`` is what one segment is taken to cost, for ``daily_spend_limit``, in the currency of Twilio's bill.
    """

    account_sid: AccountSid | None = None
    api_key_sid: ApiKeySid | None = None
    api_key_secret: SecretStr | None = None
    auth_token: SecretStr | None = None
    auth_token_previous: SecretStr | None = None
    messaging_service_sid: ServiceSid | None = None
    from_number: FromNumber | None = None
    segments_per_second: float = Field(default=3.0, gt=0)
    daily_segments: int | None = Field(default=None, gt=0)
    segment_price: Decimal = Field(default=SEGMENT_PRICE, gt=0)
    stop_replies: Literal["provider", "own"] = "provider"
    base_url: WebAddress | None = None

    @property
    def tokens(self) -> tuple[str, ...]:
        """What may have signed a webhook: two while one token is replaced by the next."""
        both = (self.auth_token, self.auth_token_previous)
        return tuple(token.get_secret_value() for token in both if token is not None)


class Web(Part):
    """Port 0 is any free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)


class Recovery(Part):
    wait_seconds: float = Field(default=90.0, gt=0)


class Settings(BaseSettings):
    """All settings. The database's URL is kept as a secret because it may hold a password."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        enable_decoding=False,  # lists are comma-separated, not JSON
        extra="ignore",  # the loader looks for names that are unknown, in the environment as well
    )

    database_url: DatabaseUrl = SecretStr("sqlite:///aftercare.db")
    environment: Literal["development", "staging", "production"] = "development"
    gateway: Literal["simulated", "twilio"] = "simulated"
    twilio: Twilio = Twilio()
    public_base_url: SafeWebAddress | None = None
    allowed_recipients: Numbers = frozenset()
    allowed_countries: Countries = frozenset()
    daily_spend_limit: Decimal | None = Field(default=None, ge=0)
    web: Web = Web()
    recovery: Recovery = Recovery()
    secret_key: SecretStr | None = None
    log_format: Annotated[Literal["console", "json"], AnyCase] | None = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], AnyCase] = "info"

    @property
    def sqlite_file(self) -> Path | None:
        """Where the database lies, absolute; None on PostgreSQL."""
        url = make_url(self.database_url.get_secret_value())
        return Path(url.database).resolve() if url.drivername == "sqlite" and url.database else None
