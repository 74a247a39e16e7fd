"""The judge on texts side by side: never twice, one a day, not too many, in their order."""

import pytest

from tests.simulator.chronicle import (
    DAY,
    GOOD_END,
    OTHER_NUMBER,
    OTHER_SENDER,
    UNTIL,
    Chronicle,
    a_good_session,
    facts,
    rules,
    utc,
)


def test_a_text_that_leaves_twice_shows() -> None:
    story = a_good_session()
    story.took("2026-03-17 15:04", "pre_1d", attempt=2, **DAY)

    verdict = story.judged(GOOD_END)

    assert rules(verdict) == {"sent_twice"}
    assert [(v.patient, v.session, v.step) for v in verdict.violations] == [("p1", "p1.1", "pre_1d")]


def test_a_text_that_broke_was_taken_and_is_sent_again_without_proof_shows() -> None:
    story = a_good_session()
    story.broke("2026-03-17 15:00", "pre_1d", taken=True)
    story.took("2026-03-17 15:00:30", "pre_1d", attempt=2, **DAY)

    assert rules(story.judged(GOOD_END)) == {"sent_twice"}


def test_a_text_that_did_not_arrive_may_be_tried_again() -> None:
    story = a_good_session()
    story.without("pre_1d")
    story.took("2026-03-17 15:00", "pre_1d", arrives=False, **DAY)
    story.took("2026-03-17 17:10", "pre_1d", attempt=2, **DAY)

    assert story.judged(GOOD_END).violations == []


def test_two_texts_with_the_same_words_show() -> None:
    """Two rows for one text: whatever they are called, the patient reads the same twice."""
    story = a_good_session()
    story.took("2026-03-17 15:10", "pre_1d", n=7, **DAY)

    assert rules(story.judged(GOOD_END)) == {"sent_twice", "same_words_twice"}


def test_two_patients_with_one_phone_may_read_the_same() -> None:
    story = a_good_session()
    story.patient("2026-03-02 15:00", "p2")
    story.session("2026-03-02 15:00", "p2.1", start="2026-03-18 15:00", end="2026-03-18 15:20")
    other = facts(session="p2.1", patient="p2")
    story.took("2026-03-02 15:01:05", "welcome", None, patient="p2")
    story.took("2026-03-02 15:10:09", "booked", **other, **DAY)
    story.took("2026-03-06 17:00:05", "baseline", **other)
    story.took("2026-03-11 15:00:05", "pre_7d", **other, **DAY)
    story.took("2026-03-17 15:00:05", "pre_1d", **other, **DAY)
    story.task("baseline_missing", "2026-03-17 21:00", session="p2.1", patient="p2")

    assert story.judged("2026-03-18 15:00").violations == []


def test_a_stop_from_a_shared_phone_is_for_both() -> None:
    """An opt-out kept for one patient alone lets the texts of the other go on: to the very phone that said stop."""
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if at < utc("2026-03-10 12:00")]
    story.patient("2026-03-02 15:00", "p2")
    story.session("2026-03-02 15:00", "p2.1", start="2026-03-23 15:00", end="2026-03-23 15:20")
    other = facts(session="p2.1", patient="p2")
    story.took("2026-03-02 15:01:05", "welcome", None, patient="p2")
    told = facts(date="Mon 23 Mar", time="10:00 AM")
    story.took("2026-03-02 15:10:09", "booked", **other, **told)
    no = story.says("2026-03-10 12:00", "STOP")
    story.task("opted_out_before_session", "2026-03-10 12:00:02", answers=no)
    story.task("baseline_missing", "2026-03-17 21:00")
    assert story.judged("2026-03-18 14:00").violations == []

    story.took("2026-03-16 15:00", "pre_7d", **other, **told)

    verdict = story.judged("2026-03-18 14:00")
    assert [(v.rule, v.patient, v.step) for v in verdict.violations] == [("sent_after_opt_out", "p2", "pre_7d")]


def test_a_stop_to_one_sender_does_not_silence_another_clinic() -> None:
    """Where a clinic has a sender of its own, what was said to another clinic's is none of its business."""
    story = Chronicle()
    story.clinic("2026-02-23 06:00")
    story.clinic("2026-02-23 06:00", "c2", sms_name="Harbour Clinic", sender=OTHER_SENDER, phone="+15550100102")
    story.patient("2026-03-02 15:00", "p2", clinic="c2")
    story.consent("2026-03-02 15:00", clinic="c2")
    story.session("2026-03-02 15:00", "p2.1", start="2026-03-18 15:00", end="2026-03-18 15:20")
    name = facts(clinic="Harbour Clinic", phone="+1 555-010-0102")
    other = facts(session="p2.1", patient="p2", sender=OTHER_SENDER, **name)
    story.took("2026-03-02 15:01", "welcome", **other | {"session": None})
    story.took("2026-03-02 15:10:04", "booked", **other, **DAY)
    story.says("2026-03-04 12:00", "STOP", to="+15550100001")
    assert rules(story.judged("2026-03-07 12:00")) == {"missing"}

    story.took("2026-03-06 17:00", "baseline", **other)

    assert story.judged("2026-03-07 12:00").violations == []


def _two_courses() -> Chronicle:
    """A patient whose check-in of the first session and whose reminder of another one meet on one day."""
    story = a_good_session()
    story.session("2026-03-20 15:00", "p1.2", start="2026-04-08 16:00", end="2026-04-08 16:20")
    story.took("2026-03-20 15:10", "booked", "p1.2", date="Wed 8 Apr", time="11:00 AM")
    return story


def test_of_two_texts_on_one_day_the_later_in_the_plan_waits_a_day() -> None:
    story = _two_courses()
    story.without("onset")
    story.took("2026-04-01 15:00", "pre_7d", "p1.2", date="Wed 8 Apr", time="11:00 AM")
    story.took("2026-04-02 16:00", "onset", n_days="15")
    story.took("2026-04-03 16:00", "count_before", "p1.2")

    assert story.judged("2026-04-04 12:00").violations == []


def test_two_texts_on_one_day_show() -> None:
    story = _two_courses()
    story.took("2026-04-01 15:00", "pre_7d", "p1.2", date="Wed 8 Apr", time="11:00 AM")

    assert rules(story.judged(GOOD_END)) == {"too_early", "spacing_ignored"}


def test_the_second_part_before_the_first_shows() -> None:
    story = a_good_session()
    story.without("aftercare_1")
    story.took("2026-03-18 15:43", "aftercare_1", **UNTIL)

    assert rules(story.judged(GOOD_END)) == {"second_part_first"}


def test_the_second_part_goes_alone_where_the_first_is_in_doubt() -> None:
    story = a_good_session()
    story.without("aftercare_1")
    story.broke("2026-03-18 15:40", "aftercare_1")
    story.row(story.label("aftercare_1"), "unconfirmed", attempts=1)
    story.task("unconfirmed", "2026-03-18 15:44", about=story.label("aftercare_1"))

    assert story.judged(GOOD_END).violations == []


def _many_moves(count: int) -> Chronicle:
    """Somebody moves the session again and again on 12 March, by five minutes each time."""
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if at < utc("2026-03-12 12:00")]
    story.sessions["p1.1"] = [entry for _, entry in story.entries if entry["kind"] == "session"][-1]
    for n in range(1, count + 1):
        story.session(
            f"2026-03-12 {13 + n}:30", start=f"2026-03-18 15:{5 * n:02}", end=f"2026-03-18 15:{5 * n + 20:02}"
        )
        story.took(f"2026-03-12 {13 + n}:35:03", "moved", n=n, date="Wed 18 Mar", time=f"10:{5 * n:02} AM")
    return story


def test_six_texts_in_a_day_are_not_too_many() -> None:
    assert _many_moves(6).judged("2026-03-12 20:00").violations == []


def test_a_seventh_text_in_a_day_shows() -> None:
    assert rules(_many_moves(7).judged("2026-03-12 21:00")) == {"over_cap"}


def test_a_seventh_text_waits_for_room_and_is_not_late() -> None:
    """The next day, once the first of the six lies a day back."""
    story = _many_moves(6)
    story.session("2026-03-12 20:30", start="2026-03-18 15:50", end="2026-03-18 16:10")
    moved = facts(date="Wed 18 Mar", time="10:50 AM")
    story.took("2026-03-13 14:45", "moved", n=7, **moved)
    story.took("2026-03-17 15:00", "pre_1d", n=7, **moved)
    story.task("baseline_missing", "2026-03-17 21:00")

    assert story.judged("2026-03-18 14:00").violations == []


def test_two_sessions_within_twenty_hours_hold_the_second() -> None:
    story = a_good_session()
    story.session("2026-03-10 15:00", "p1.2", start="2026-03-18 18:00", end="2026-03-18 18:20")
    story.session("2026-03-11 14:00", "p1.2", status="entered_in_error")
    assert story.judged(GOOD_END).violations == []

    story.took("2026-03-10 15:10", "booked", "p1.2", date="Wed 18 Mar", time="1:00 PM")

    assert rules(story.judged(GOOD_END)) == {"two_sessions"}


def test_a_refusal_for_good_is_not_tried_again() -> None:
    story = a_good_session()
    story.without("pre_1d")
    for at in ("2026-03-17 15:00", "2026-03-17 15:05"):
        story.refused(at, "pre_1d", "30007")
    story.row(story.label("pre_1d"), "failed", "filtered", attempts=2)

    assert rules(story.judged("2026-03-17 20:00")) == {"tried_after_refusal"}


@pytest.mark.parametrize("code", ["21614", "21211"], ids=["no mobile", "no number"])
def test_a_number_that_takes_no_texts_gets_none_until_it_is_another(code: str) -> None:
    story = a_good_session()
    story.without("pre_7d")
    story.refused("2026-03-11 15:00", "pre_7d", code)
    story.row(story.label("pre_7d"), "failed", "refused", attempts=1)
    assert rules(story.judged("2026-03-18 12:00")) == {"sent_to_blocked_number"}

    story.patient("2026-03-12 15:00", number=OTHER_NUMBER)
    story.consent("2026-03-12 15:00", number=OTHER_NUMBER)
    story.without("pre_1d")
    story.took("2026-03-17 15:00", "pre_1d", number=OTHER_NUMBER, **DAY)

    assert story.judged("2026-03-18 12:00").violations == []


def test_what_the_network_refuses_because_of_an_opt_out_should_not_have_been_tried() -> None:
    story = a_good_session()
    story.entries = [(at, entry) for at, entry in story.entries if at < utc("2026-03-17 14:00")]
    no = story.says("2026-03-16 12:00", "STOP")
    story.task("opted_out_before_session", "2026-03-16 12:00:02", answers=no)
    story.refused("2026-03-17 15:00", "pre_1d", "21610")
    story.row(story.label("pre_1d"), "failed", "opted out", attempts=1)

    assert rules(story.judged("2026-03-17 20:00")) == {"sent_after_opt_out"}


def test_a_stop_is_for_every_clinic_that_shares_the_sender() -> None:
    """The patient sees one number: whichever clinic answers it, nothing more comes from there."""
    story = Chronicle()
    story.clinic("2026-02-23 06:00")
    story.clinic("2026-02-23 06:00", "c2", sms_name="Harbour Clinic", phone="+15550100102")
    story.patient("2026-03-02 15:00", "p2", clinic="c2")
    story.consent("2026-03-02 15:00", clinic="c2")
    story.consent("2026-03-02 15:00")
    story.session("2026-03-02 15:00", "p2.1", start="2026-03-18 15:00", end="2026-03-18 15:20")
    other = facts(session="p2.1", patient="p2", clinic="Harbour Clinic", phone="+1 555-010-0102")
    story.took("2026-03-02 15:01", "welcome", **other | {"session": None})
    story.took("2026-03-02 15:10:04", "booked", **other, **DAY)
    story.says("2026-03-04 12:00", "STOP")
    assert story.judged("2026-03-07 12:00").violations == []

    story.took("2026-03-06 17:00", "baseline", **other)

    assert rules(story.judged("2026-03-07 12:00")) == {"sent_after_opt_out"}


def test_the_newer_words_of_a_phone_stand_though_the_older_ones_take_as_long_to_be_understood() -> None:
    """START five seconds after STOP: whoever texts right then may have understood both already, or neither."""
    story = a_good_session()
    no = story.says("2026-03-11 14:59:53", "STOP")
    story.says("2026-03-11 14:59:58", "START")
    story.without("pre_7d")
    story.took("2026-03-11 15:00:05", "pre_7d", **DAY)
    story.task("opted_out_before_session", "2026-03-11 15:00:06", answers=no)

    assert story.judged("2026-03-11 20:00").violations == []
