"""Setting up a clinic: what may be said of it, what is asked again, and what is refused."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from service.flows.clinic_options import OptionsError, read_holidays
from service.flows.clinics import ClinicExistsError, add_clinic, clinic_document, list_clinics, set_clinic
from service.store.content import live_plan
from service.store.tables import Clinic, JournalEntry, TemplateVersion
from tests.store.factories import NOW

GIVEN = {
    "name": "Lakeside  Headache Clinic",
    "sms_name": "Lakeside Clinic",
    "time_zone": "America/Chicago",
    "country": "us",
    "phone": "(312) 200-0100",
    "emergency": "911",
    "after_hours": "312 200 0142",
    "languages": "en, ES",
}


def add(sessions: sessionmaker[Session], key: str = "lakeside", **over: Any) -> list[str]:
    with sessions.begin() as db:
        return add_clinic(db, key, given=GIVEN | over, holidays=None, by="robin", now=NOW)


def change(sessions: sessionmaker[Session], holidays: dict[date, str] | None = None, **given: Any) -> list[str]:
    with sessions.begin() as db:
        return set_clinic(db, db.scalars(select(Clinic)).one(), given=given, holidays=holidays, by="robin", now=NOW)


def shown(sessions: sessionmaker[Session]) -> dict[str, Any]:
    with sessions() as db:
        (clinic,) = list_clinics(db)
        return clinic_document(db, clinic)


def test_a_clinic_is_added_with_plan_and_texts(sessions: sessionmaker[Session]) -> None:
    assert add(sessions) == []
    found = shown(sessions)
    expected = {
        "key": "lakeside",
        "name": "Lakeside Headache Clinic",
        "country": "US",
        "phone": "+13122000100",
        "emergency": "911",
        "after_hours": "+13122000142",
        "crisis_line": None,
        "languages": ["en", "es"],
        "hours": "Mon-Fri 08:00-17:00",
        "interval_weeks": 12,
        "plan": "standard",
        "page": [],
        "holidays": [],
        "live_from": NOW,
        "imported_at": None,
    }
    assert expected.items() <= found.items()
    with sessions() as db:
        assert live_plan(db, found["id"]) is not None
        assert db.scalar(
            select(func.count()).select_from(TemplateVersion).where(TemplateVersion.clinic_id == found["id"])
        )
        entry = db.scalars(select(JournalEntry)).one()
    assert (entry.kind, entry.clinic_id, entry.data) == ("clinic_added", found["id"], {"by": "robin"})


def test_a_clinic_is_added_once(sessions: sessionmaker[Session]) -> None:
    add(sessions)
    with pytest.raises(ClinicExistsError, match="aftercare clinic set"):
        add(sessions, name="Another")
    assert shown(sessions)["name"] == "Lakeside Headache Clinic"


def test_only_what_is_given_changes(sessions: sessionmaker[Session]) -> None:
    add(sessions, page=["312 200 0143", "+13122000143", ""], crisis_line="988")
    before = shown(sessions)
    assert before["page"] == ["+13122000143"]
    change(
        sessions, holidays={date(2026, 12, 25): "Christmas"}, plan="lite", page=[""], crisis_line="", name=GIVEN["name"]
    )
    after = shown(sessions)
    assert {name: value for name, value in after.items() if value != before[name]} == {
        "plan": "lite",
        "page": [],
        "crisis_line": None,
        "holidays": [{"day": "2026-12-25", "name": "Christmas"}],
    }
    with sessions() as db:
        entry = db.scalars(select(JournalEntry).order_by(JournalEntry.id.desc())).first()
    assert entry is not None
    assert entry.data == {"by": "robin", "what": ["crisis_line", "page_numbers", "plan", "holidays"]}


def test_holidays_are_replaced(sessions: sessionmaker[Session]) -> None:
    add(sessions)
    change(sessions, holidays={date(2026, 12, 25): "", date(2026, 12, 26): ""})
    change(sessions, plan="lite")
    assert len(shown(sessions)["holidays"]) == 2
    change(sessions, holidays={})
    assert shown(sessions)["holidays"] == []


def test_nothing_given_is_nothing_to_do(sessions: sessionmaker[Session]) -> None:
    add(sessions)
    with pytest.raises(OptionsError, match="Nothing was given"):
        change(sessions)


def test_numbers_and_times_are_read_where_the_clinic_is(sqlite_sessions: sessionmaker[Session]) -> None:
    add(sqlite_sessions)
    change(sqlite_sessions, country="TR", time_zone="Europe/Istanbul", phone="0532 555 01 01", live_from="2026-12-01")
    found = shown(sqlite_sessions)
    assert found["phone"] == "+905325550101"
    assert found["live_from"] == datetime(2026, 11, 30, 21, 0, tzinfo=UTC)
    change(sqlite_sessions, phone="0532 555 01 02", hours="Mon-Fri  09:00-18:00", live_from="2026-12-01T08:00Z")
    assert (shown(sqlite_sessions)["phone"], shown(sqlite_sessions)["hours"]) == (
        "+905325550102",
        "Mon-Fri 09:00-18:00",
    )
    assert shown(sqlite_sessions)["live_from"] == datetime(2026, 12, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("over", "says"),
    [
        pytest.param({"name": "  "}, "--name: is empty", id="no name"),
        pytest.param({"sms_name": "Lakeside Headache Clinic"}, "room for 20", id="a long name"),
        pytest.param({"sms_name": "œœœœœœœœœœœ"}, "22 characters", id="longer once transliterated"),
        pytest.param({"time_zone": "America/Chigaco"}, "Did you mean America/Chicago", id="a zone misspelt"),
        pytest.param({"time_zone": "!"}, "like America/New_York", id="no zone at all"),
        pytest.param({"time_zone": "America"}, "is no time zone", id="a folder of zones"),
        pytest.param({"time_zone": "../UTC"}, "is no time zone", id="a path"),
        pytest.param({"country": "ZZ"}, "two-letter code", id="no country"),
        pytest.param({"phone": "12"}, "--phone:", id="a short number is no phone"),
        pytest.param({"after_hours": "555-0142"}, "--after-hours:", id="no area code"),
        pytest.param({"emergency": "police"}, "--emergency:", id="no number"),
        pytest.param({"crisis_line": "x"}, "--crisis-line:", id="no crisis line"),
        pytest.param({"page": ["3122000143", "1"]}, "--page:", id="nobody to page"),
        pytest.param({"languages": "en,fr"}, "Texts exist in en, es, tr", id="a language without texts"),
        pytest.param({"languages": " , "}, "name the default language first", id="no language"),
        pytest.param({"hours": "always"}, "--hours:", id="no hours"),
        pytest.param({"interval_weeks": 53}, "from 1 to 52", id="more than a year"),
        pytest.param({"interval_weeks": 0}, "from 1 to 52", id="no time at all"),
        pytest.param({"plan": "deluxe"}, "There are standard, lite", id="no plan"),
        pytest.param({"live_from": "soon"}, "is no moment", id="no moment"),
    ],
)
def test_what_no_clinic_can_have(sqlite_sessions: sessionmaker[Session], over: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        add(sqlite_sessions, **over)
    with sqlite_sessions() as db:
        assert list_clinics(db) == []


def test_all_faults_are_told_at_once(sqlite_sessions: sessionmaker[Session]) -> None:
    with pytest.raises(OptionsError) as told:
        add(sqlite_sessions, name="", plan="deluxe", interval_weeks=99)
    assert [fault.split(":")[0] for fault in told.value.faults] == ["--name", "--interval-weeks", "--plan"]


@pytest.mark.parametrize("key", ["Lakeside", "lake side", "-lakeside", "a" * 41, ""])
def test_keys_that_are_none(sqlite_sessions: sessionmaker[Session], key: str) -> None:
    with pytest.raises(OptionsError, match="no short name"):
        add(sqlite_sessions, key)


@pytest.mark.parametrize(
    ("over", "says"),
    [
        pytest.param({"sms_name": "Migräne Zentrum"}, "names the illness", id="migraine"),
        pytest.param({"sms_name": "Göksu Migren"}, "names the illness", id="in Turkish"),
        pytest.param({"sms_name": "BOTOX Studio"}, "names the illness", id="the medicine"),
        pytest.param({"sms_name": "Baş Ağrısı M."}, "names the illness", id="headache in Turkish"),
        pytest.param({"sms_name": "Клиника"}, "make every text dearer", id="not Latin"),
        pytest.param({"interval_weeks": 10}, "less than the usual 12", id="a short interval"),
        pytest.param({"time_zone": "EST"}, "know no summer time", id="an old zone"),
    ],
)
def test_what_is_seldom_meant_is_asked_again(
    sqlite_sessions: sessionmaker[Session], over: dict[str, Any], says: str
) -> None:
    (doubt,) = add(sqlite_sessions, **over)
    assert says in doubt
    assert change(sqlite_sessions, plan="lite") == []


@pytest.mark.parametrize(
    "over", [{"sms_name": "Spain Street Clinic"}, {"time_zone": "UTC"}, {"sms_name": "Göksu Klinik"}]
)
def test_what_is_fine_is_not_asked_again(sqlite_sessions: sessionmaker[Session], over: dict[str, Any]) -> None:
    assert add(sqlite_sessions, **over) == []


def test_holidays_are_read_line_by_line() -> None:
    text = "# days off\n2026-12-25 Christmas\n\n2026-12-26,Second day # half of us\n2027-01-01\n"
    assert read_holidays(text) == {
        date(2026, 12, 25): "Christmas",
        date(2026, 12, 26): "Second day",
        date(2027, 1, 1): "",
    }


def test_a_line_that_is_no_holiday() -> None:
    with pytest.raises(OptionsError, match="line 2"):
        read_holidays("2026-12-25\n26.12.2026\n")
