"""``aftercare clinic``: setting up clinics, changing and showing them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.context import open_app
from service.cli.output import USAGE, Json, document, fail, operator, say, table
from service.flows.clinic_options import OptionsError, read_holidays
from service.flows.clinics import add_clinic, clinic_document, list_clinics, set_clinic
from service.flows.practice import find_clinic
from service.store.database import read_only

KEY = typer.Option(metavar="K", help="Short name on the command line, like lakeside.")
NAME = typer.Option(metavar="N", help="Full name, for staff.")
SMS_NAME = typer.Option(metavar="S", help="Name in texts: at most 20 characters, and no illness.")
ZONE = typer.Option("--time-zone", metavar="Z", help="IANA name, like America/New_York.")
COUNTRY = typer.Option(metavar="C", help="Two letters; of numbers without a prefix.")
PHONE = typer.Option(metavar="P", help="Phone in office hours.")
EMERGENCY = typer.Option(metavar="E", help="Local emergency number, like 911 or 112.")
AFTER_HOURS = typer.Option(metavar="A", help="Phone while the clinic is closed.")
LANGUAGES = typer.Option(metavar="L,…", help="Of texts, the default first, like en,es.")

Hours = Annotated[str | None, typer.Option(metavar="H", help='Staffed hours, like "Mon-Fri 08:00-17:00".')]
Holidays = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, metavar="FILE", help="Days without staff, a line each: 2026-12-25 Christmas."
    ),
]
CrisisLine = Annotated[str | None, typer.Option(metavar="N", help="Suicide crisis line, else the emergency number.")]
Page = Annotated[list[str] | None, typer.Option(metavar="PHONE", help="Staff to page; may be repeated.")]
Interval = Annotated[int | None, typer.Option("--interval-weeks", metavar="WEEKS", help="Between sessions, else 12.")]
Plan = Annotated[str | None, typer.Option(metavar="PLAN", help="Care plan: standard or lite.")]
LiveFrom = Annotated[
    str | None, typer.Option(metavar="TS", help="Steps whose own time lies before it are skipped; else now.")
]
KeepTexts = Annotated[
    int | None,
    typer.Option("--keep-texts-months", metavar="N", help="Keep words so long after the last session, else 24."),
]
KeepConsent = Annotated[
    int | None,
    typer.Option("--keep-consent-years", metavar="N", help="Keep numbers of former patients so long, else 6."),
]
KeepRaw = Annotated[
    int | None, typer.Option("--keep-raw-days", metavar="N", help="Keep the provider's own words so long, else 30.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Clinics: who sends, from where, in which words.")
    group.command("add")(add)
    group.command("set")(change)
    group.command("show")(show)
    app.add_typer(group, name="clinic")


def add(
    *,
    key: Annotated[str, KEY],
    name: Annotated[str, NAME],
    sms_name: Annotated[str, SMS_NAME],
    time_zone: Annotated[str, ZONE],
    country: Annotated[str, COUNTRY],
    phone: Annotated[str, PHONE],
    emergency: Annotated[str, EMERGENCY],
    after_hours: Annotated[str, AFTER_HOURS],
    languages: Annotated[str, LANGUAGES],
    hours: Hours = None,
    holidays: Holidays = None,
    crisis_line: CrisisLine = None,
    page: Page = None,
    interval_weeks: Interval = None,
    plan: Plan = None,
    live_from: LiveFrom = None,
    keep_texts_months: KeepTexts = None,
    keep_consent_years: KeepConsent = None,
    keep_raw_days: KeepRaw = None,
) -> None:
    """Add a clinic, with the shipped plan and texts."""
    given = _given(locals())
    app = open_app()
    with _wrong_usage(), app.sessions.begin() as db:
        days = _days(holidays)
        doubts = add_clinic(db, key, given=given, holidays=days, by=operator(), now=app.clock())
    _say_all(
        f"Clinic {key} was added. Its texts are the shipped ones, and no clinician has approved them: read them before patients do, "
        "with `aftercare templates list`.",
        doubts,
    )


def change(
    *,
    key: Annotated[str, KEY],
    name: Annotated[str | None, NAME] = None,
    sms_name: Annotated[str | None, SMS_NAME] = None,
    time_zone: Annotated[str | None, ZONE] = None,
    country: Annotated[str | None, COUNTRY] = None,
    phone: Annotated[str | None, PHONE] = None,
    emergency: Annotated[str | None, EMERGENCY] = None,
    after_hours: Annotated[str | None, AFTER_HOURS] = None,
    languages: Annotated[str | None, LANGUAGES] = None,
    hours: Hours = None,
    holidays: Holidays = None,
    crisis_line: CrisisLine = None,
    page: Page = None,
    interval_weeks: Interval = None,
    plan: Plan = None,
    live_from: LiveFrom = None,
    keep_texts_months: KeepTexts = None,
    keep_consent_years: KeepConsent = None,
    keep_raw_days: KeepRaw = None,
) -> None:
    """Change what is given, and leave the rest. An empty --crisis-line or --page takes away what is there."""
    given = _given(locals())
    app = open_app()
    with _wrong_usage(), app.sessions.begin() as db:
        days, clinic = _days(holidays), find_clinic(db, key)
        doubts = set_clinic(db, clinic, given=given, holidays=days, by=operator(), now=app.clock())
    _say_all(f"Clinic {key} was changed.", doubts)


def show(
    of: Annotated[str | None, typer.Argument(metavar="[K]", help="One clinic; else all.")] = None,
    *,
    key: Annotated[str | None, typer.Option(metavar="K", help="The same.")] = None,
    json: Json = False,
) -> None:
    """Show a clinic, or all there are."""
    app = open_app()
    with app.sessions() as db:
        wanted = key or of
        found = [find_clinic(read_only(db), wanted)] if wanted else list_clinics(read_only(db))
        documents = [clinic_document(db, clinic) for clinic in found]
    if json:
        document(documents[0] if wanted else documents)
    elif wanted:
        table(("", ""), documents[0].items())
    else:
        table(
            ("Key", "Name", "Zone", "Plan"),
            ([d[name] for name in ("key", "name", "time_zone", "plan")] for d in documents),
        )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None and name not in {"key", "holidays"}}


def _days(holidays: Path | None) -> dict[date, str] | None:
    try:
        return None if holidays is None else read_holidays(holidays.read_text("utf-8-sig"))
    except UnicodeError:
        raise OptionsError([f"--holidays: {holidays} is not UTF-8 text."]) from None


@contextmanager
def _wrong_usage() -> Iterator[None]:
    try:
        yield
    except OptionsError as why:
        fail(str(why), USAGE)


def _say_all(done: str, doubts: list[str]) -> None:
    say(done)
    for doubt in doubts:
        say(f"Is this meant? {doubt}")
