"""The settings an operator writes: what is read, and what is said where it is wrong."""

import re
import stat
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from service.settings import Settings, SettingsError, load_settings, with_secret_key
from service.settings.loading import KNOWN

TWILIO = {
    "GATEWAY": "twilio",
    "TWILIO__ACCOUNT_SID": "AC1",
    "TWILIO__API_KEY_SID": "SK1",
    "TWILIO__API_KEY_SECRET": "api key secret",
    "TWILIO__FROM_NUMBER": "+12025550123",
}
Load = Callable[[Mapping[str, str]], Settings]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load with these variables set (without their prefix) and no others."""

    def load(variables: Mapping[str, str]) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(f"AFTERCARE_{name}", value)
        return load_settings()

    return load


def faults(load: Load, variables: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(variables)
    assert str(caught.value).splitlines() == list(caught.value.faults)
    return list(caught.value.faults)


def test_without_any_setting_all_is_there_to_try_it_out(load: Load, tmp_path: Path) -> None:
    settings = load({})
    assert settings.sqlite_file == tmp_path / "aftercare.db"
    assert (settings.environment, settings.gateway) == ("development", "simulated")
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8000)
    assert (settings.twilio.segments_per_second, settings.twilio.daily_segments) == (3.0, None)
    assert settings.twilio.stop_replies == "provider"
    assert settings.recovery.wait_seconds == 90
    assert (settings.log_format, settings.log_level) == (None, "info")
    assert not settings.allowed_recipients
    assert not settings.allowed_countries
    assert settings.public_base_url is None
    assert settings.daily_spend_limit is None
    assert settings.secret_key is None


def test_every_setting_is_read(load: Load) -> None:
    settings = load(
        TWILIO
        | {
            "DATABASE_URL": "postgresql://user:password@db/aftercare",
            "ENVIRONMENT": "staging",
            "TWILIO__AUTH_TOKEN": "token",
            "TWILIO__AUTH_TOKEN_PREVIOUS": "token before",
            "TWILIO__SEGMENTS_PER_SECOND": "12.5",
            "TWILIO__DAILY_SEGMENTS": "2000",
            "TWILIO__STOP_REPLIES": "own",
            "TWILIO__BASE_URL": "http://proxy.example:8080",
            "PUBLIC_BASE_URL": "https://texts.example.org/",
            "ALLOWED_RECIPIENTS": "+12025550123, +442079460123,",
            "ALLOWED_COUNTRIES": "us,GB",
            "DAILY_SPEND_LIMIT": "25.50",
            "WEB__HOST": "0.0.0.0",  # noqa: S104
            "WEB__PORT": "9000",
            "RECOVERY__WAIT_SECONDS": "30",
            "SECRET_KEY": "a long random text",
            "LOG_FORMAT": "JSON",
            "LOG_LEVEL": "Debug",
        }
    )
    assert settings.sqlite_file is None
    assert settings.twilio.tokens == ("token", "token before")
    assert (settings.twilio.segments_per_second, settings.twilio.daily_segments) == (12.5, 2000)
    assert (settings.twilio.stop_replies, settings.twilio.base_url) == ("own", "http://proxy.example:8080")
    assert settings.public_base_url == "https://texts.example.org"
    assert settings.allowed_recipients == {"+12025550123", "+442079460123"}
    assert settings.allowed_countries == {"US", "GB"}
    assert settings.daily_spend_limit == Decimal("25.50")
    assert (settings.web.host, settings.web.port) == ("0.0.0.0", 9000)  # noqa: S104
    assert settings.recovery.wait_seconds == 30
    assert (settings.log_format, settings.log_level) == ("json", "debug")


def test_an_empty_variable_is_one_that_is_not_set(load: Load) -> None:
    assert load({"DATABASE_URL": "", "ALLOWED_RECIPIENTS": "", "WEB__PORT": ""}) == load({})


def test_the_environment_wins_over_the_file(load: Load) -> None:
    Path(".env").write_text(
        "POSTGRES_PASSWORD=not ours\nAFTERCARE_LOG_LEVEL=debug\nAFTERCARE_WEB__PORT=9000\n", "utf-8"
    )
    settings = load({"LOG_LEVEL": "error"})
    assert (settings.log_level, settings.web.port) == ("error", 9000)


def test_the_example_names_every_setting_and_works_as_it_is(load: Load) -> None:
    example = (Path(__file__).parents[1] / ".env.example").read_text("utf-8")
    Path(".env").write_text(example, "utf-8")
    settings = load({})
    assert settings == Settings(secret_key=settings.secret_key)
    named = set(re.findall(r"^#? ?(AFTERCARE_\w+)=", example, re.MULTILINE))
    assert named == {name for name in KNOWN if not name.endswith("_FILE")}


def test_the_secrets_of_the_example_are_refused_in_production_alone(load: Load) -> None:
    example = (Path(__file__).parents[1] / ".env.example").read_text("utf-8")
    given = dict(re.findall(r"^(?:AFTERCARE_)?(SECRET_KEY|POSTGRES_PASSWORD)=(.+)$", example, re.MULTILINE))
    secrets = {
        "SECRET_KEY": given["SECRET_KEY"],
        "DATABASE_URL": f"postgresql://aftercare:{given['POSTGRES_PASSWORD']}@db/aftercare",
    }
    assert load({**secrets, "ENVIRONMENT": "staging"}).environment == "staging"
    told = faults(load, {**secrets, "ENVIRONMENT": "production"})
    assert [line.partition(":")[0] for line in told] == [
        "AFTERCARE_DATABASE_URL holds the secret of .env.example, which everybody knows",
        "AFTERCARE_SECRET_KEY holds the secret of .env.example, which everybody knows",
    ]
    assert all("openssl rand -hex 32" in line for line in told)
    assert "POSTGRES_PASSWORD" in told[0]


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        pytest.param(
            {"GATEWAY": "twillio"}, "AFTERCARE_GATEWAY is 'twillio': choose simulated or twilio.", id="gateway"
        ),
        pytest.param(
            {"ENVIRONMENT": "prod"},
            "AFTERCARE_ENVIRONMENT is 'prod': choose development, staging or production.",
            id="environment",
        ),
        pytest.param({"WEB__PORT": "http"}, "AFTERCARE_WEB__PORT is 'http': give a whole number.", id="port in words"),
        pytest.param(
            {"WEB__PORT": "70000"},
            "AFTERCARE_WEB__PORT is '70000': give a number less than or equal to 65535.",
            id="port too high",
        ),
        pytest.param(
            {"RECOVERY__WAIT_SECONDS": "0"},
            "AFTERCARE_RECOVERY__WAIT_SECONDS is '0': give a number greater than 0.",
            id="no wait",
        ),
        pytest.param(
            {"RECOVERY__WAIT_SECONDS": "soon"},
            "AFTERCARE_RECOVERY__WAIT_SECONDS is 'soon': give a number.",
            id="wait in words",
        ),
        pytest.param(
            {"DAILY_SPEND_LIMIT": "much"},
            "AFTERCARE_DAILY_SPEND_LIMIT is 'much': give an amount of money, for example 25.00.",
            id="money in words",
        ),
        pytest.param(
            {"ALLOWED_COUNTRIES": "US,England"},
            "AFTERCARE_ALLOWED_COUNTRIES is wrong: 'England' is no country; give two-letter codes, for example US,GB.",
            id="country in words",
        ),
        pytest.param(
            {"ALLOWED_RECIPIENTS": "+12025550123,2025550124"},
            "AFTERCARE_ALLOWED_RECIPIENTS is wrong: give numbers with + and country code, for example "
            "+12025550123,+12025550124.",
            id="recipient without country, and not repeated",
        ),
        pytest.param(
            {"PUBLIC_BASE_URL": "http://texts.example.org"},
            "AFTERCARE_PUBLIC_BASE_URL is wrong: http://texts.example.org is not safe; begin with https://, because texts "
            "of patients pass there.",
            id="public address without encryption",
        ),
        pytest.param(
            {"PUBLIC_BASE_URL": "texts.example.org"},
            "AFTERCARE_PUBLIC_BASE_URL is wrong: give a web address and nothing more, for example https://texts.example.org.",
            id="public address without scheme",
        ),
        pytest.param(
            {"DATABASE_URL": "aftercare.db"},
            "AFTERCARE_DATABASE_URL is wrong: this is no database URL; give for example sqlite:///aftercare.db.",
            id="database without scheme",
        ),
        pytest.param(
            {"DATABASE_URL": "mysql://user:secret@host/db"},
            "AFTERCARE_DATABASE_URL is wrong: mysql is not supported; begin with sqlite:/// or postgresql+psycopg://.",
            id="other database, password not repeated",
        ),
        pytest.param(
            {"DATABASE_URL": "sqlite://"},
            "AFTERCARE_DATABASE_URL is wrong: name a file, for example sqlite:///aftercare.db: what is kept in memory is lost.",
            id="database in memory",
        ),
        pytest.param(
            {"TWILIO__ACCOUNT_SID": "SK1"},
            "AFTERCARE_TWILIO__ACCOUNT_SID is wrong: give the account SID, which begins with AC.",
            id="key in place of the account",
        ),
        pytest.param(
            {"SECRET_KEY_FILE": "nowhere"},
            "AFTERCARE_SECRET_KEY_FILE names nowhere, and that cannot be read (No such file or directory).",
            id="no such secret file",
        ),
        pytest.param(
            {"LOG_LEVL": "info"},
            "AFTERCARE_LOG_LEVL is no setting. The nearest one is AFTERCARE_LOG_LEVEL: correct the name, or remove it.",
            id="misspelt",
        ),
        pytest.param(
            {"TWILIO": "{}"},
            "AFTERCARE_TWILIO is no setting. The nearest one is AFTERCARE_TWILIO__BASE_URL: correct the name, or remove it.",
            id="a group of settings is none",
        ),
        pytest.param(
            {"ENVIRONMENT": "production"},
            "AFTERCARE_SECRET_KEY is missing, and production needs it: give a long random text.",
            id="production without key",
        ),
    ],
)
def test_a_fault_is_one_line_that_names_the_variable_and_says_what_to_do(
    load: Load, variables: dict[str, str], line: str
) -> None:
    assert faults(load, variables) == [line]


@pytest.mark.parametrize(
    ("without", "line"),
    [
        pytest.param(
            ["ACCOUNT_SID"], "AFTERCARE_TWILIO__ACCOUNT_SID is missing: copy it from the Twilio console.", id="account"
        ),
        pytest.param(
            ["API_KEY_SECRET"],
            "AFTERCARE_TWILIO__API_KEY_SECRET is missing: an API key is its SID and its secret.",
            id="half a key",
        ),
        pytest.param(
            ["API_KEY_SID", "API_KEY_SECRET"],
            "AFTERCARE_TWILIO__API_KEY_SID and _SECRET are missing: make an API key in the Twilio console.",
            id="neither key nor token",
        ),
        pytest.param(
            ["FROM_NUMBER"],
            "AFTERCARE_TWILIO__MESSAGING_SERVICE_SID or AFTERCARE_TWILIO__FROM_NUMBER is missing: texts need a sender.",
            id="sender",
        ),
    ],
)
def test_what_twilio_needs_is_asked_for(load: Load, without: list[str], line: str) -> None:
    given = {name: value for name, value in TWILIO.items() if name.removeprefix("TWILIO__") not in without}
    assert faults(load, given) == [line]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        pytest.param(
            {"PUBLIC_BASE_URL": "https://texts.example.org"},
            "AFTERCARE_TWILIO__AUTH_TOKEN is missing: it proves that what comes to the public address is Twilio's.",
            id="webhooks nobody could verify",
        ),
        pytest.param(
            {"TWILIO__MESSAGING_SERVICE_SID": "MG1"},
            "AFTERCARE_TWILIO__MESSAGING_SERVICE_SID and AFTERCARE_TWILIO__FROM_NUMBER are both set: keep one of them.",
            id="two senders",
        ),
    ],
)
def test_what_does_not_go_together_is_told(load: Load, more: dict[str, str], line: str) -> None:
    assert faults(load, TWILIO | more) == [line]


def test_account_and_token_are_enough(load: Load) -> None:
    without_key = {name: value for name, value in TWILIO.items() if "API_KEY" not in name}
    assert load(without_key | {"TWILIO__AUTH_TOKEN": "token"}).twilio.tokens == ("token",)


def test_all_faults_are_told_at_once(load: Load) -> None:
    lines = faults(load, {"GATEWAY": "twilio", "ENVIRONMENT": "production", "WEB__PORT": "x", "LOG_LEVL": "info"})
    named = [line.split()[0] for line in lines]
    assert named == [
        "AFTERCARE_LOG_LEVL",
        "AFTERCARE_SECRET_KEY",
        "AFTERCARE_TWILIO__ACCOUNT_SID",
        "AFTERCARE_TWILIO__API_KEY_SID",
        "AFTERCARE_TWILIO__MESSAGING_SERVICE_SID",
        "AFTERCARE_WEB__PORT",
    ]


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_this_machine_may_be_reached_without_encryption(load: Load, address: str) -> None:
    assert load({"PUBLIC_BASE_URL": address}).public_base_url == address


@pytest.mark.parametrize(
    ("url", "says"),
    [("sqlite:///no/such/folder/x.db", "is not there"), ("sqlite:///.", "is a folder; add the name of a file")],
    ids=["folder is not there", "folder in place of a file"],
)
def test_a_database_file_needs_a_place(load: Load, url: str, says: str) -> None:
    (line,) = faults(load, {"DATABASE_URL": url})
    assert says in line


SECRET_FILES = sorted(name for name in KNOWN if name.endswith("_FILE"))


@pytest.mark.parametrize("variable", SECRET_FILES)
def test_each_secret_may_come_from_a_file(load: Load, variable: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sqlite:///from-the-file.db\n", "utf-8")
    settings = load({variable.removeprefix("AFTERCARE_"): "secret"})
    name = variable.removeprefix("AFTERCARE_").removesuffix("_FILE").lower()
    found = getattr(settings.twilio, name.removeprefix("twilio__"), None) or getattr(settings, name)
    assert found.get_secret_value() == "sqlite:///from-the-file.db"


def test_there_is_a_file_for_each_secret() -> None:
    secret = [
        name
        for name in KNOWN
        if any(word in name for word in ("SECRET", "TOKEN", "DATABASE")) and name + "_FILE" in KNOWN
    ]
    assert [f"{name}_FILE" for name in sorted(secret)] == SECRET_FILES


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "that is empty"), (b"\xff\xfe", "that is no text")], ids=["empty", "binary"]
)
def test_a_secret_file_that_cannot_be_used_is_told(load: Load, tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert faults(load, {"SECRET_KEY_FILE": "secret"}) == [f"AFTERCARE_SECRET_KEY_FILE names secret, and {says}."]


def test_a_secret_is_given_once(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file", "utf-8")
    (line,) = faults(load, {"SECRET_KEY": "from the environment", "SECRET_KEY_FILE": "secret"})
    assert line == "AFTERCARE_SECRET_KEY_FILE and AFTERCARE_SECRET_KEY are both set: keep one of them."


def test_secrets_are_never_shown(load: Load) -> None:
    hidden = ["password", "api key secret", "the token", "a long random text"]
    settings = load(
        TWILIO
        | {
            "DATABASE_URL": "postgresql://user:password@db/aftercare",
            "TWILIO__AUTH_TOKEN": "the token",
            "SECRET_KEY": "a long random text",
        }
    )
    assert not [secret for secret in hidden if secret in f"{settings!r} {settings} {settings.model_dump()}"]


def test_a_key_is_made_once_and_kept_for_its_owner_alone(load: Load, tmp_path: Path) -> None:
    first, second = (with_secret_key(load({})).secret_key for _ in range(2))
    assert first is not None
    assert first == second
    kept = tmp_path / "aftercare.db.key"
    assert kept.read_text("utf-8") == first.get_secret_value()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["aftercare.db.key"]


def test_a_key_that_is_given_is_not_kept(load: Load, tmp_path: Path) -> None:
    settings = with_secret_key(load({"SECRET_KEY": "given"}))
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "given"
    assert not list(tmp_path.iterdir())


def test_on_postgresql_a_key_lives_as_long_as_the_process(load: Load, tmp_path: Path) -> None:
    settings = load({"DATABASE_URL": "postgresql://db/aftercare"})
    assert with_secret_key(settings).secret_key != with_secret_key(settings).secret_key
    assert not list(tmp_path.iterdir())
