"""What people who are texted, and those who answer for it, have had to complain about elsewhere: one test for each.

Each drives the real flows: rows as another program writes them, planning, sending, and a pretend phone network.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.sms import OutgoingSms
from service.flows.importing import Feed, Report, import_feed
from service.flows.planned_texts import CARRIED
from service.flows.policy import SendingPolicy
from service.flows.recovery import STALE, recover, rescue_stale_claims
from service.flows.staffing import TooLate, skip_message
from service.gateways.simulated_network import DEFAULT, Span
from service.sources.csv_file import read_sessions, survey
from service.sources.csv_layout import ConsentRule, Layout
from service.store.tables import (
    Clinic,
    Patient,
    PhoneNumber,
    SendAttempt,
    Sender,
    TemplateVersion,
    TreatmentSession,
)
from tests.domain.cases import DAY, HOUR
from tests.flows.clinic_life import SENDER, ClinicLife, Watched, at
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
START = "2026-03-16 10:00"
FAST = 10_000.0


@pytest.fixture
def life(sessions: Sessions) -> ClinicLife:
    """Where the engine could matter: side by side, or stopped half way."""
    return ClinicLife(sessions)


@pytest.fixture
def quick(sqlite_sessions: Sessions) -> ClinicLife:
    return ClinicLife(sqlite_sessions)


def fast(life: ClinicLife) -> None:
    with life.sessions.begin() as db:
        db.execute(update(Sender).values(segments_per_second=FAST))


def import_file(
    life: ClinicLife, folder: Path, *lines: str, consent: ConsentRule | None = ConsentRule.ON_FILE
) -> Report:
    """Import a file of sessions into the clinic, as the command does."""
    file = folder / "sessions.csv"
    header = "external_id,mrn,first_name,last_name,mobile,language,start_local,end_local,status,updated_at"
    file.write_text("\n".join([header, *lines]) + "\n")
    zone, names = ZoneInfo("America/Chicago"), ("en", "es")
    layout = Layout(zone=zone, country="US", languages=names, consent=consent)
    feed = Feed(source="csv", name=file.name, survey=survey(file, layout), rows=read_sessions(file, layout))
    clinic: Clinic = life.fresh(life.clinic)
    return import_feed(life.sessions, feed, clinic=clinic, clock=life.clock, progress=lambda _: None)


# nobody gets a text twice


def test_two_texts_that_are_due_together_are_each_sent_once_however_often_sending_runs(quick: ClinicLife) -> None:
    for _ in range(2):
        quick.booked(START, of=quick.patient(phone="+12025550188"), imported=True)
    quick.plan()
    for _ in range(8 * 24 * 3):
        quick.now += 20 * MINUTE
        quick.dispatch()
    assert len(quick.left()) == len({text.message_id for text in quick.left()}) == 4


def test_running_the_jobs_every_hour_reminds_once(quick: ClinicLife) -> None:
    quick.booked(START, imported=True)
    quick.until("2026-03-15 09:00")
    for _ in range(30):
        quick.now += HOUR
        quick.tick()
    assert quick.steps_left().count("pre_1d") == 1


def test_a_worker_that_dies_on_the_job_is_not_made_up_for_with_a_second_text(life: ClinicLife) -> None:
    patient = life.patient()
    life.plan()
    text = life.message(patient)
    inner = life.gateway

    def die_after_sending(sms: OutgoingSms) -> None:
        list(inner.send_batch([sms]))
        raise RuntimeError

    life.gateway = Watched(inner, die_after_sending)
    with pytest.raises(RuntimeError):
        life.dispatch()
    life.gateway = inner
    life.now += STALE + SECOND
    rescue_stale_claims(life.sessions, life.clock)
    life.wait(hours=7)
    assert len(life.left()) == 1
    assert life.fresh(text).state == "unconfirmed"


def test_an_acknowledgement_that_got_lost_makes_no_second_text(quick: ClinicLife) -> None:
    quick.completed(NOW - 10 * MINUTE)
    quick.network.config = replace(DEFAULT, fails_after=1.0)
    quick.wait(days=1)
    bodies = [text.body for text in quick.left()]
    assert len(bodies) == len(set(bodies)) > 0
    assert {m.state for m in quick.messages(step="aftercare_1")} == {"unconfirmed"}
    recover(quick.sessions, quick.gateway, quick.clock, wait=timedelta(seconds=90))
    assert {m.state for m in quick.messages(step="aftercare_1")} == {"sent"}, "the provider's list shows it"
    quick.wait(days=1)
    assert [text.body for text in quick.left()].count(bodies[0]) == 1


def test_what_is_handed_over_stands_in_the_table_before_it_is_handed_over(life: ClinicLife) -> None:
    life.completed(NOW - 10 * MINUTE)
    life.plan()
    written: list[str] = []

    def look(sms: OutgoingSms) -> None:
        with life.sessions() as db:
            attempt = db.scalars(select(SendAttempt).where(SendAttempt.message_id == sms.message_id)).one()
            written.append(attempt.text if attempt.outcome is None else "too late")

    life.gateway = Watched(life.gateway, look)
    life.dispatch()
    assert written == [text.body for text in life.left()] != []


def test_planning_by_two_workers_at_once_makes_one_text_of_each(life: ClinicLife) -> None:
    session = life.booked(START)
    start = Barrier(2)

    def plan(_: int) -> None:
        start.wait()
        life.plan()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(plan, range(2)))
    assert len(life.messages(session_id=session.id, step="pre_1d")) == 1


def test_several_workers_share_the_texts_and_drop_none_that_is_late(life: ClinicLife) -> None:
    fast(life)
    people = [life.patient() for _ in range(25)]
    life.plan()
    for patient in people:
        life.message(patient, due_at=NOW - 2 * HOUR)
    start = Barrier(4)

    def send(_: int) -> None:
        start.wait()
        life.dispatch()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))
    life.dispatch()
    assert sorted(text.to for text in life.left()) == sorted(p.phone or "" for p in people)


def test_no_mistake_anywhere_sends_one_person_more_than_a_handful_of_texts(quick: ClinicLife) -> None:
    fast(quick)
    patient = quick.patient()
    quick.plan()
    for n in range(136):
        quick.message(patient, text=f"A place has become free: {n}.", expires_at=NOW + DAY)
    quick.dispatch()
    assert len(quick.left()) == 6


# every session is told of


def test_each_of_several_sessions_has_its_own_reminders(quick: ClinicLife) -> None:
    patient = quick.patient()
    for start in (START, "2026-03-23 10:00", "2026-03-30 10:00"):
        quick.booked(start, of=patient, imported=True)
    quick.until("2026-03-30 09:00")
    reminders = [text.body for text in quick.left() if text.step == "pre_1d"]
    assert [body.split(" at ")[0][-10:] for body in reminders] == ["Mon 16 Mar", "Mon 23 Mar", "Mon 30 Mar"]


def test_the_session_after_next_is_reminded_of_like_the_first(quick: ClinicLife) -> None:
    patient = quick.patient()
    first = quick.booked(START, of=patient)
    quick.until(START)
    quick.change(first, status="completed", completed_at=quick.now)
    quick.until("2026-05-20 10:00")
    quick.booked("2026-06-08 10:00", of=patient)
    quick.until("2026-06-08 09:00")
    assert quick.steps_left().count("pre_1d") == 2
    assert quick.steps_left().count("booked") == 2


def test_clearing_one_session_clears_no_other(quick: ClinicLife) -> None:
    patient = quick.patient()
    wrong = quick.booked(START, of=patient, imported=True)
    right = quick.booked("2026-03-23 10:00", of=patient, imported=True)
    quick.plan()
    quick.change(wrong, status="cancelled")
    quick.until("2026-03-23 09:00")
    assert not quick.messages(session_id=wrong.id, state="sent")
    assert {m.step for m in quick.messages(session_id=right.id, state="sent")} >= {"pre_7d", "pre_1d"}


def test_all_that_is_due_leaves_in_one_run_the_longest_due_first(quick: ClinicLife) -> None:
    fast(quick)
    people = [quick.patient() for _ in range(120)]
    quick.plan()
    for n, patient in enumerate(people):
        quick.message(patient, due_at=NOW - n * SECOND)
    quick.dispatch()
    assert [text.to for text in quick.left()] == [p.phone for p in reversed(people)]


def test_a_reminder_that_does_not_come_always_says_why(quick: ClinicLife) -> None:
    quick.booked("2026-03-03 09:30")
    quick.completed("2026-01-20 10:00")
    quick.until("2026-03-10 12:00")
    unsent = [m for m in quick.messages() if m.state in ("cancelled", "missed")]
    assert len(unsent) > 10
    assert all(m.reason for m in unsent)
    late = [m for m in quick.messages(state="planned") if m.due_at and m.due_at <= quick.now]
    assert all(m.held_reason for m in late)


# nothing about what is no more


def test_nothing_waits_at_the_provider_where_it_could_not_be_called_back(quick: ClinicLife) -> None:
    session = quick.booked(START, imported=True)
    quick.until("2026-03-15 09:59")
    quick.change(session, status="cancelled")
    quick.until("2026-03-17 10:00")
    assert "pre_1d" not in quick.steps_left()


def test_a_session_that_was_put_off_leaves_no_old_reminder_behind(quick: ClinicLife) -> None:
    session = quick.booked(START)
    quick.until("2026-03-04 12:00")
    quick.change(session, scheduled_start=at("2026-04-20 10:00"))
    quick.until("2026-03-20 10:00")
    assert quick.steps_left() == ["booked", "baseline", "moved"]
    assert "Mon 20 Apr" in quick.left()[-1].body


def test_a_cancellation_sets_off_no_reminder(quick: ClinicLife) -> None:
    session = quick.booked("2026-03-03 10:00", imported=True)
    quick.change(session, status="cancelled")
    quick.wait(days=2)
    assert quick.left() == []


def test_a_cancellation_that_is_undone_is_told(quick: ClinicLife) -> None:
    session = quick.booked(START)
    quick.until("2026-03-04 12:00")
    for status in ("cancelled", "booked"):
        quick.change(session, status=status)
        quick.wait(hours=1)
    assert quick.steps_left()[-2:] == ["cancelled", "moved"]


def test_stopping_a_text_says_whether_it_was_in_time(life: ClinicLife) -> None:
    people = [life.patient() for _ in range(2)]
    life.plan()
    early, late = (life.message(patient) for patient in people)
    answers: list[str] = []

    def stop(text: Any) -> None:
        try:
            with life.sessions.begin() as db:
                skip_message(db, text.id, reason="phoned", by="nurse", now=life.now)
            answers.append("in time")
        except TooLate as too_late:
            answers.append(str(too_late))

    stop(early)
    life.gateway = Watched(life.gateway, lambda _: stop(late))
    life.dispatch()
    assert answers == ["in time", f"Message {late.id} was not skipped: it is leaving at this moment."]
    assert [text.message_id for text in life.left()] == [late.id]


def test_a_session_that_is_deleted_after_it_was_confirmed_is_put_right_by_a_person(quick: ClinicLife) -> None:
    session = quick.booked(START)
    quick.until("2026-03-04 12:00")
    quick.change(session, status="entered_in_error")
    quick.wait(days=20)
    (task,) = quick.tasks("wrongly_told")
    assert task.next_action == "Phone the patient and say that there is no such session."
    assert quick.steps_left() == ["booked", "baseline"]


def test_no_second_part_without_the_first(quick: ClinicLife) -> None:
    quick.network.config = replace(DEFAULT, bursts=(Span(NOW, NOW + HOUR),), retry_after_seconds=60)
    quick.completed(NOW - 10 * MINUTE)
    quick.wait(minutes=50)
    assert quick.left() == []
    quick.wait(minutes=40)
    assert quick.steps_left() == ["aftercare_1", "aftercare_2"]


# nothing late


def test_a_late_booking_does_not_set_off_all_reminders_at_once(quick: ClinicLife) -> None:
    quick.booked("2026-03-04 15:00")
    quick.wait(hours=6)
    assert quick.steps_left() == ["booked"]
    skipped = {m.step: m.reason for m in quick.messages() if m.state in ("cancelled", "missed")}
    assert (skipped["baseline"], skipped["baseline_nudge"], skipped["pre_7d"]) == ("spacing", "late", "expired")


def test_the_reminder_of_a_week_before_is_not_sent_for_a_booking_of_a_day_ahead(quick: ClinicLife) -> None:
    quick.booked("2026-03-03 14:00")
    quick.until("2026-03-03 13:59")
    assert "pre_7d" not in quick.steps_left()
    assert "pre_1d" in quick.steps_left()


def test_who_joins_late_hears_nothing_of_old_dates(quick: ClinicLife, tmp_path: Path) -> None:
    import_file(
        quick,
        tmp_path,
        "A1,M1,Ada,Sample,312 555 0171,en,2026-01-12T10:00,2026-01-12T10:20,completed,2026-01-12T11:00",
        "A2,M1,Ada,Sample,312 555 0171,en,2026-04-06T10:00,2026-04-06T10:20,booked,2026-01-12T11:00",
    )
    quick.change(quick.clinic, live_from=quick.now)
    quick.until("2026-04-06 09:00")
    assert quick.steps_left() == ["welcome", "count_w8", "wearing_off", "pre_7d", "count_before", "pre_1d"]
    assert quick.tasks("missed_text") == []


def test_after_days_without_a_worker_nothing_old_goes_out(quick: ClinicLife) -> None:
    quick.booked(START)
    quick.completed("2026-03-02 08:55")
    quick.plan()
    quick.now = at("2026-03-16 09:00")
    quick.wait(minutes=30)
    assert quick.steps_left() == []
    assert {m.reason for m in quick.messages(step="aftercare_1")} == {"expired"}


def test_an_outage_of_the_network_brings_no_reminder_after_the_session(quick: ClinicLife) -> None:
    quick.booked(START, imported=True)
    quick.network.config = replace(DEFAULT, bursts=(Span(at("2026-03-15 09:00"), at("2026-03-16 11:00")),))
    quick.until("2026-03-17 10:00")
    assert "pre_1d" not in quick.steps_left()
    (task,) = quick.tasks("missed_text")
    assert task.reason == "Day before: the text was not sent (retry)."


# nothing at night, nothing an hour off


def test_a_queue_that_is_behind_texts_nobody_late_in_the_evening(quick: ClinicLife) -> None:
    quick.booked("2026-03-03 14:00", imported=True)
    quick.plan()
    quick.now = at("2026-03-02 22:57")
    quick.wait(minutes=30)
    assert quick.left() == []


def test_a_session_recorded_at_night_is_spoken_of_in_the_morning(quick: ClinicLife) -> None:
    quick.now = at("2026-03-03 02:30")
    quick.completed("2026-03-02 16:00")
    quick.until("2026-03-03 12:00")
    assert [text.at for text in quick.left()][:2] == [at("2026-03-03 08:00"), at("2026-03-03 08:02")]


def test_a_clinic_chooses_its_own_quiet_hours(quick: ClinicLife) -> None:
    clinic = quick.another_clinic(window_opens="12:00", window_closes="14:00")
    quick.booked(START, of=quick.patient(of=clinic), imported=True)
    quick.until("2026-03-16 09:00")
    hours = {text.at.astimezone(ZoneInfo("America/Chicago")).hour for text in quick.left()}
    assert hours <= {12, 13}
    assert hours


def test_every_clinic_and_every_patient_has_a_clock_of_their_own(quick: ClinicLife) -> None:
    istanbul = quick.another_clinic(time_zone="Europe/Istanbul", country="TR")
    here = quick.booked(START, imported=True)
    there = quick.booked(START, of=quick.patient(of=istanbul, phone="+905321234567"), imported=True)
    far = quick.booked(START, of=quick.patient(time_zone="Pacific/Honolulu"), imported=True)
    quick.until("2026-03-16 09:30")
    sent = dict.fromkeys([here.id, there.id, far.id]) | {
        m.session_id: m.sent_at for m in quick.messages(step="pre_1d", state="sent")
    }
    assert sent[here.id] == at("2026-03-15 10:00")
    assert sent[there.id] == datetime(2026, 3, 15, 10, 0, tzinfo=ZoneInfo("Europe/Istanbul")).astimezone(UTC)
    assert sent[far.id] == datetime(2026, 3, 15, 9, 0, tzinfo=ZoneInfo("Pacific/Honolulu")).astimezone(UTC)


def test_the_night_on_which_the_clock_changes_moves_no_reminder(quick: ClinicLife) -> None:
    quick.booked("2026-03-09 10:00", imported=True)
    quick.until("2026-03-09 09:00")
    (text,) = [text for text in quick.left() if text.step == "pre_1d"]
    assert text.at == at("2026-03-08 10:00") == datetime(2026, 3, 8, 15, 0, tzinfo=UTC)
    assert "Mon 9 Mar at 10:00 AM" in text.body


def test_no_text_shows_a_time_of_another_zone(quick: ClinicLife) -> None:
    quick.booked("2026-03-16 18:30", of=quick.patient(time_zone="Asia/Tokyo"))
    quick.until("2026-03-16 12:00")
    told = [text.body for text in quick.left() if " at " in text.body]
    assert told
    assert all("Mon 16 Mar at 6:30 PM" in body for body in told)


def test_morning_and_evening_are_told_apart(quick: ClinicLife) -> None:
    for start in ("2026-03-16 08:15", "2026-03-16 20:15"):
        quick.booked(start)
    quick.booked("2026-03-16 20:15", of=quick.patient(language="es"))
    quick.wait(hours=1)
    assert [text.body.split(": ", 1)[1][:54] for text in quick.left()] == [
        "your session is booked for Mon 16 Mar at 8:15 AM, abou",
        "your session is booked for Mon 16 Mar at 8:15 PM, abou",
        "su sesion es el lun 16 mar a las 20:15, unos 20 min. R",
    ]


# the words


def test_an_edit_reaches_what_is_planned_already(quick: ClinicLife) -> None:
    patient = quick.patient()
    quick.booked(START, of=patient, imported=True)
    quick.plan()
    with quick.sessions.begin() as db:
        words = (TemplateVersion.key == "pre_1d", TemplateVersion.language == "en")
        db.execute(
            update(TemplateVersion).where(*words).values(text="{{ clinic }}: {{ date }}, {{ time }}. {{ phone }}")
        )
        db.execute(update(Patient).values(phone="+12025550188"))
        db.execute(update(Clinic).values(phone="+13125550777", sms_name="Lakeside"))
        factories.grant(db, db.get_one(Patient, patient.id))
    quick.until("2026-03-16 09:00")
    last = quick.left()[-1]
    assert (last.to, last.body) == ("+12025550188", "Lakeside: Mon 16 Mar, 10:00 AM. +1 312-555-0777")


def test_an_empty_text_is_kept_and_shown_to_staff_and_ends(quick: ClinicLife) -> None:
    quick.completed(NOW - 10 * MINUTE)
    with quick.sessions.begin() as db:
        db.execute(update(TemplateVersion).where(TemplateVersion.key == "aftercare_1").values(text="  "))
    quick.until("2026-03-02 21:00")
    assert "aftercare_1" not in quick.steps_left()
    assert quick.planned("aftercare_1").state == "missed"
    assert quick.tasks("not_writable")[0].reason.startswith("Not sent: the template is empty.")


def test_no_placeholder_is_ever_left_unfilled(quick: ClinicLife) -> None:
    quick.change(quick.clinic, phone="")
    session = quick.booked("2026-03-03 14:00", imported=True)
    quick.until("2026-03-03 14:20")
    quick.change(session, status="completed", completed_at=quick.now)
    quick.wait(days=1)
    assert quick.left()
    assert not [text for text in quick.left() if set("{}") & set(text.body)]
    assert {m.reason for m in quick.messages(step="pre_1d")} == {"not_writable"}


def test_every_patient_is_texted_in_their_language(quick: ClinicLife) -> None:
    clinic = quick.another_clinic(languages="en,es,tr")
    for language in ("es", "tr", None, "de"):
        quick.booked(START, of=quick.patient(of=clinic, language=language))
    quick.wait(hours=1)
    assert [text.body.split()[2:4] for text in quick.left()] == [
        ["su", "sesion"],
        ["seansiniz", "16"],
        ["your", "session"],
        ["your", "session"],
    ]


def test_a_curly_apostrophe_does_not_double_the_bill(quick: ClinicLife) -> None:
    clinic = quick.another_clinic(sms_name="O’Hara’s Clinic")
    quick.completed(NOW - 10 * MINUTE, of=quick.patient(of=clinic))
    quick.tick()
    row = quick.planned("aftercare_1")
    assert (row.encoding, row.segments) == ("GSM-7", 2)
    assert quick.left()[0].body.startswith("O'Hara's Clinic: ")


def test_no_text_says_who_the_patient_is(quick: ClinicLife) -> None:
    patient = quick.patient(
        first_name="Rosalind", last_name="Winterbourne", external_id="MRN-77321", privacy="explicit"
    )
    session = quick.booked(START, of=patient)
    quick.until("2026-03-16 10:20")
    quick.change(session, status="completed", completed_at=quick.now)
    quick.wait(days=110)
    words = " ".join(text.body for text in quick.left())
    assert len(quick.left()) == 16
    assert not any(name in words for name in ("Rosalind", "Winterbourne", "77321"))


# who must not be texted


def test_an_opt_out_that_only_the_provider_noticed_is_kept_for_good(quick: ClinicLife) -> None:
    patient = quick.patient(phone="+12025550188")
    quick.booked(START, of=patient)
    quick.network.config = replace(DEFAULT, refused_numbers={"+12025550188": "21610"})
    quick.wait(hours=1)
    quick.network.config = DEFAULT
    quick.until("2026-03-16 09:00")
    assert quick.left() == []
    assert {m.reason for m in quick.messages(step="pre_1d")} == {"opted_out"}


def test_an_opt_out_counts_for_everybody_who_shares_the_phone(quick: ClinicLife) -> None:
    family = [quick.patient(phone="+12025550188") for _ in range(2)]
    for patient in family:
        quick.booked(START, of=patient, imported=True)
    quick.plan()
    with quick.sessions.begin() as db:
        factories.grant(db, family[0], granted=False, at=quick.now)
    quick.until("2026-03-16 09:00")
    assert quick.left() == []


def test_a_number_that_takes_no_texts_is_tried_once_and_put_before_staff(quick: ClinicLife) -> None:
    quick.booked(START, of=quick.patient(phone="+12025550188"))
    quick.network.config = replace(DEFAULT, refused_numbers={"+12025550188": "21614"})
    quick.until("2026-03-16 09:00")
    with quick.sessions() as db:
        assert len(db.scalars(select(SendAttempt)).all()) == 1
        assert db.get_one(PhoneNumber, "+12025550188").blocked_at is not None
    assert len(quick.tasks("number_refused")) == 1


def test_a_failure_says_in_plain_words_what_happened_and_what_to_do(quick: ClinicLife) -> None:
    quick.booked(START, of=quick.patient(phone="+12025550188"))
    quick.network.config = replace(DEFAULT, refused_numbers={"+12025550188": "21614"})
    quick.wait(hours=1)
    (task,) = quick.tasks("number_refused")
    assert (quick.planned("booked").reason, task.reason) == (task.reason, quick.planned("booked").reason)
    assert task.reason[0].isupper()
    assert task.reason.endswith(" (21614)")
    assert len(task.next_action.split()) > 3


def test_a_trial_run_never_texts_a_real_person(quick: ClinicLife) -> None:
    tester, real = quick.patient(phone="+12025550188"), quick.patient()
    quick.policy = SendingPolicy(allowed_recipients=frozenset({"+12025550188"}))
    for patient in (tester, real):
        quick.booked(START, of=patient)
    quick.wait(hours=1)
    assert {text.to for text in quick.left()} == {"+12025550188"}
    assert quick.planned("booked", patient_id=real.id).reason == "not_an_allowed_recipient"


# what the network can not do at once


def test_a_passing_trouble_is_waited_out_while_the_text_is_of_use(quick: ClinicLife) -> None:
    quick.network.config = replace(DEFAULT, bursts=(Span(NOW, NOW + HOUR),))
    quick.completed(NOW - 10 * MINUTE)
    quick.wait(hours=2)
    assert quick.steps_left() == ["aftercare_1", "aftercare_2"]
    assert quick.left()[0].at <= NOW + HOUR + 13 * MINUTE


def test_the_provider_is_not_flooded_and_what_is_urgent_goes_first(quick: ClinicLife) -> None:
    with quick.sessions.begin() as db:
        db.execute(update(Sender).values(segments_per_second=1.0))
    people = [quick.patient() for _ in range(30)]
    quick.plan()
    texts = [quick.message(patient) for patient in people]
    quick.dispatch()
    before = len(quick.left())
    assert 0 < before < len(texts)
    answer = {"kind": "reply", "template": "help", "text": None, "urgency": "reply", "priority": 0}
    reply = quick.message(people[0], **answer, to_number=people[0].phone)
    quick.wait(seconds=3)
    assert quick.left()[before].message_id == reply.id
    assert len(quick.left()) <= before + 4
    quick.wait(minutes=1)
    assert len(quick.left()) == len(texts) + 1


def test_a_sender_that_was_never_registered_stops_at_once_and_raises_the_alarm(quick: ClinicLife) -> None:
    quick.network.config = replace(DEFAULT, refused_senders={SENDER: "21606"})
    for _ in range(30):
        quick.booked(START)
    quick.wait(minutes=11)

    def tried() -> int:
        with quick.sessions() as db:
            return len(db.scalars(select(SendAttempt)).all())

    before = tried()
    assert before < 30
    quick.wait(hours=1)
    assert tried() <= before + 6, "one text at a time, ever more rarely, finds out whether it is registered by now"
    sender = quick.fresh(quick._all(select(Sender), Sender, {"id": 1})[0])
    assert sender.paused_at is not None
    assert sender.pause_reason
    (task,) = quick.tasks("sender_paused")
    assert task.level == "red"
    assert {m.held_reason for m in quick.messages(step="booked")} == {"sender_paused"}


# what is the clinic's


def test_what_the_clinic_wrote_is_only_read(quick: ClinicLife) -> None:
    patient = quick.patient()
    session = quick.booked(START, of=patient)
    theirs = ("external_id", "scheduled_start", "scheduled_end", "status", "source", "source_version")

    def read() -> list[Any]:
        row, person = quick.fresh(session), quick.fresh(patient)
        return [*(getattr(row, name) for name in theirs), person.phone, person.status, person.first_name]

    before = read()
    quick.until("2026-03-16 12:00")
    assert read() == before
    assert not {column.key for column in CARRIED} & {column.key for column in TreatmentSession.__table__.c} - {
        "clinic_id",
        "patient_id",
    }


def test_a_number_that_a_spreadsheet_spoiled_stops_its_row_and_no_other(quick: ClinicLife, tmp_path: Path) -> None:
    quick.change(quick.clinic, imported_at=NOW - DAY)
    report = import_file(
        quick,
        tmp_path,
        "A1,M1,Ada,Sample,1.31256E+10,en,2026-03-16T10:00,,booked,2026-03-01T11:00",
        "A2,M2,Bo,Sample,13125550172.0,en,2026-03-16T11:00,,booked,2026-03-01T11:00",
    ).document()
    assert [(row["line"], row["code"]) for row in report["rejected"]] == [(2, "phone")]
    quick.until("2026-03-16 09:00")
    assert {text.to for text in quick.left()} == {"+13125550172"}
    assert "pre_1d" in quick.steps_left()
