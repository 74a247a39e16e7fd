"""What a single setting may look like. A refusal says what to give instead and never repeats the value."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError


def _matching(pattern: str, advice: str) -> AfterValidator:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(advice)
        return value

    return AfterValidator(check)


def _in_lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _split(value: object) -> object:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _country(value: str) -> str:
    if value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{value!r} is no country; give two-letter codes, for example US,GB")
    return value.upper()


def _web_address(value: str) -> str:
    where = urlsplit(value)
    if where.scheme not in {"http", "https"} or not where.hostname or where.query or where.fragment or where.username:
        raise ValueError("give a web address and nothing more, for example https://texts.example.org")
    return value.rstrip("/")


def _safe_address(value: str) -> str:
    where = urlsplit(value)
    if where.scheme != "https" and not _is_this_machine(where.hostname or ""):
        raise ValueError(
            f"{where.scheme}://{where.hostname} is not safe; begin with https://, because texts of patients pass there"
        )
    return value


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _database(value: SecretStr) -> SecretStr:
    try:
        url = make_url(value.get_secret_value())
    except ArgumentError:
        raise ValueError("this is no database URL; give for example sqlite:///aftercare.db") from None
    if url.drivername not in {"sqlite", "postgresql", "postgresql+psycopg"}:
        raise ValueError(f"{url.drivername} is not supported; begin with sqlite:/// or postgresql+psycopg://")
    if url.drivername == "sqlite":
        _check_file(url.database)
    return value


def _check_file(name: str | None) -> None:
    if not name or name == ":memory:" or name.startswith("file:"):
        raise ValueError("name a file, for example sqlite:///aftercare.db: what is kept in memory is lost")
    path = Path(name).resolve()
    if path.is_dir():
        raise ValueError(f"{path} is a folder; add the name of a file")
    if not path.parent.is_dir():
        raise ValueError(f"the folder {path.parent} is not there; make it, or name another")


WebAddress = Annotated[str, AfterValidator(_web_address)]
SafeWebAddress = Annotated[WebAddress, AfterValidator(_safe_address)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]

AccountSid = Annotated[str, _matching("AC.+", "give the account SID, which begins with AC")]
ApiKeySid = Annotated[str, _matching("SK.+", "give the SID of an API key, which begins with SK")]
ServiceSid = Annotated[str, _matching("MG.+", "give the SID of a messaging service, which begins with MG")]
FromNumber = Annotated[
    str,
    _matching(
        r"\+[1-9]\d{6,14}|\d{3,8}|[A-Za-z0-9 ]{1,11}",
        "give a number with + and country code, for example +12025550123, a short code or a sender name",
    ),
]

_Number = Annotated[
    str, _matching(r"\+[1-9]\d{6,14}", "give numbers with + and country code, for example +12025550123,+12025550124")
]
Numbers = Annotated[frozenset[_Number], BeforeValidator(_split)]
Countries = Annotated[frozenset[Annotated[str, AfterValidator(_country)]], BeforeValidator(_split)]

AnyCase = BeforeValidator(_in_lower_case)
