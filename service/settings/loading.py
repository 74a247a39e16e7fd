"""Reading the settings, and gathering all that is wrong with them: one line a fault, in the spelling of the environment."""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from service.domain.errors import AftercareError
from service.settings.model import PREFIX, Part, Settings

FILE = "_FILE"
SECRETS = ("DATABASE_URL", "SECRET_KEY", "TWILIO__API_KEY_SECRET", "TWILIO__AUTH_TOKEN", "TWILIO__AUTH_TOKEN_PREVIOUS")

EXAMPLE = "change-before-real-patients"
"""Stands in every secret of ``.env.example``, which everybody knows."""


class SettingsError(AftercareError):
    """Settings are missing or wrong, and nothing was started; ``faults`` are whole lines."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


def load_settings(env_file: Path = Path(".env")) -> Settings:
    """The settings of this process. Raises :class:`SettingsError` with every fault that there is."""
    given = _given(env_file)
    unknown = {name: _unknown(name) for name in given.keys() - KNOWN}
    from_files, faults = _secret_files(given)
    settings = None
    try:
        settings = Settings(**(from_files | {"_env_file": env_file}))
    except ValidationError as error:
        details = error.errors(include_url=False)
        faults += [_fault(detail) for detail in details if _variable(detail) not in unknown]
    faults += [*unknown.values(), *_missing(given), *_known_to_everybody(given)]
    if settings is None or faults:
        raise SettingsError(sorted(faults))
    return settings


def with_secret_key(settings: Settings) -> Settings:
    """The same with a secret key in any case: made once and kept beside the SQLite file, readable by its owner alone.

    On PostgreSQL, where there is no such place, it lives as long as this process: what it signed ends with it.
    """
    if settings.secret_key is not None:
        return settings
    made, database = secrets.token_urlsafe(32), settings.sqlite_file
    key = made if database is None else _kept(database.with_name(f"{database.name}.key"), made)
    return settings.model_copy(update={"secret_key": SecretStr(key)})


def _kept(path: Path, made: str) -> str:
    """The key in the file, which is there whole or not at all: of two processes that start together one makes it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(0o600)
    draft.write_text(made, "utf-8")
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return path.read_text("utf-8")
    finally:
        draft.unlink()
    return made


def _given(env_file: Path) -> dict[str, str]:
    """What is set and not empty, by the variable's name; the environment wins over the file."""
    both = {**DotEnvSettingsSource(Settings, env_file=env_file).env_vars, **EnvSettingsSource(Settings).env_vars}
    return {name.upper(): value for name, value in both.items() if value and name.upper().startswith(PREFIX)}


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Part):
            yield from _names(kind, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}"


KNOWN = frozenset(_names(Settings, PREFIX)) | {f"{PREFIX}{name}{FILE}" for name in SECRETS}


def _unknown(name: str) -> str:
    nearest = get_close_matches(name, sorted(KNOWN), n=1, cutoff=0.0)[0]
    return f"{name} is no setting. The nearest one is {nearest}: correct the name, or remove it."


def _secret_files(given: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The secrets that stand in files, nested as the settings are, and what is wrong with the files."""
    found: dict[str, Any] = {}
    faults = []
    for name in SECRETS:
        variable = f"{PREFIX}{name}{FILE}"
        if variable not in given:
            continue
        if f"{PREFIX}{name}" in given:
            faults.append(f"{variable} and {PREFIX}{name} are both set: keep one of them.")
        try:
            _put(found, name, value=_read(Path(given[variable])))
        except AftercareError as why:
            faults.append(f"{variable} names {given[variable]}, and {why}.")
    return found, faults


def _read(path: Path) -> str:
    try:
        value = path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        raise AftercareError("that is no text") from None
    except OSError as why:
        raise AftercareError(f"that cannot be read ({why.strerror})") from None
    if not value:
        raise AftercareError("that is empty")
    return value


def _put(settings: dict[str, Any], name: str, *, value: str) -> None:
    *parents, last = name.lower().split("__")
    for parent in parents:
        settings = settings.setdefault(parent, {})
    settings[last] = value


def _variable(detail: ErrorDetails) -> str:
    """The setting that an error is about; the items of a list have no name of their own."""
    path = [str(part).upper() for part in detail["loc"]]
    names = (PREFIX + "__".join(path[:length]) for length in (2, 1))
    return next((name for name in names if name in KNOWN), PREFIX + path[0])


_ADVICE = {
    "int_parsing": "give a whole number",
    "float_parsing": "give a number",
    "decimal_parsing": "give an amount of money, for example 25.00",
}


def _fault(detail: ErrorDetails) -> str:
    """What our own checks say is told as it is: they know whether the value may be repeated."""
    variable, context = _variable(detail), detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return f"{variable} is wrong: {context['error']}."
        case "literal_error":
            advice = "choose " + str(context["expected"]).replace("'", "")
        case kind:
            advice = _ADVICE.get(kind, detail["msg"].replace("Input should be", "give a number"))
    return f"{variable} is {detail['input']!r}: {advice}."


def _missing(given: Mapping[str, str]) -> Iterator[str]:
    """What other settings ask for. Judged by what is given, so that all faults are told at once."""
    lacking = {name for name in _ASKED_FOR if given.keys().isdisjoint({f"{PREFIX}{name}", f"{PREFIX}{name}{FILE}"})}
    if given.get(f"{PREFIX}ENVIRONMENT") == "production" and "SECRET_KEY" in lacking:
        yield f"{PREFIX}SECRET_KEY is missing, and production needs it: give a long random text."
    if given.get(f"{PREFIX}GATEWAY") == "twilio":
        yield from _missing_for_twilio(lacking, receives=f"{PREFIX}PUBLIC_BASE_URL" in given)


def _known_to_everybody(given: Mapping[str, str]) -> Iterator[str]:
    """A secret of the example would open the doors of whoever forgot to change it."""
    if given.get(f"{PREFIX}ENVIRONMENT") != "production":
        return
    for name in SECRETS:
        if EXAMPLE in given.get(f"{PREFIX}{name}", ""):
            yield f"{PREFIX}{name} holds the secret of .env.example, which everybody knows: {_OWN.get(name, _MAKE_ONE)}."


_MAKE_ONE = "give one of your own, for example from `openssl rand -hex 32`"
_OWN = {"DATABASE_URL": f"change POSTGRES_PASSWORD and the database's user, and {_MAKE_ONE}"}
_ASKED_FOR = (
    *("SECRET_KEY", "TWILIO__ACCOUNT_SID", "TWILIO__API_KEY_SID", "TWILIO__API_KEY_SECRET", "TWILIO__AUTH_TOKEN"),
    *("TWILIO__MESSAGING_SERVICE_SID", "TWILIO__FROM_NUMBER"),
)


def _missing_for_twilio(lacking: set[str], *, receives: bool) -> Iterator[str]:
    if "TWILIO__ACCOUNT_SID" in lacking:
        yield f"{PREFIX}TWILIO__ACCOUNT_SID is missing: copy it from the Twilio console."
    half_a_key = {"TWILIO__API_KEY_SID", "TWILIO__API_KEY_SECRET"} & lacking
    if len(half_a_key) == 1:
        yield f"{PREFIX}{half_a_key.pop()} is missing: an API key is its SID and its secret."
    elif half_a_key and "TWILIO__AUTH_TOKEN" in lacking:
        yield f"{PREFIX}TWILIO__API_KEY_SID and _SECRET are missing: make an API key in the Twilio console."
    elif receives and "TWILIO__AUTH_TOKEN" in lacking:
        yield f"{PREFIX}TWILIO__AUTH_TOKEN is missing: it proves that what comes to the public address is Twilio's."
    senders = {"TWILIO__MESSAGING_SERVICE_SID", "TWILIO__FROM_NUMBER"} & lacking
    if len(senders) == 2:
        yield f"{PREFIX}TWILIO__MESSAGING_SERVICE_SID or {PREFIX}TWILIO__FROM_NUMBER is missing: texts need a sender."
    elif not senders:
        yield f"{PREFIX}TWILIO__MESSAGING_SERVICE_SID and {PREFIX}TWILIO__FROM_NUMBER are both set: keep one of them."
