"""The judge on the service's books: what became of each text must be what truly became of it."""

from collections.abc import Callable

import pytest

from tests.simulator.chronicle import DAY, GOOD_END, Chronicle, a_good_session, rules, utc


def _called(state: str, reason: str | None = None) -> Callable[[Chronicle], None]:
    """The reminder, which was delivered, is called something else."""

    def change(story: Chronicle) -> None:
        story.row(story.label("pre_1d"), state, reason, attempts=1)

    return change


def _never_taken(state: str) -> Callable[[Chronicle], None]:
    def change(story: Chronicle) -> None:
        story.row(story.label("d10"), state, attempts=1)

    return change


def _no_row(story: Chronicle) -> None:
    story.rows = [row for row in story.rows if row["label"]["step"] != "pre_1d"]


def _doubted(story: Chronicle) -> None:
    story.without("d3")
    story.broke("2026-03-21 16:00", "d3")
    story.row(story.label("d3"), "unconfirmed", attempts=1)


UNTRUE: dict[str, tuple[Callable[[Chronicle], None], set[str]]] = {
    "a text without a row": (_no_row, {"unknown_text"}),
    "a delivered text moved back to sent": (_called("sent"), {"lost_track"}),
    "a delivered text called planned": (_called("planned"), {"lost_track"}),
    "a delivered text called missed": (_called("missed", "expired"), {"lost_track", "staff_not_told"}),
    "a delivered text called undelivered": (_called("undelivered"), {"lost_track", "untrue_state", "staff_not_told"}),
    "a delivered text called failed": (_called("failed"), {"lost_track", "untrue_state"}),
    "a delivered text still in somebody's hands": (_called("sending"), {"lost_track", "stuck"}),
    "a text called sent that the network never saw": (_never_taken("sent"), {"never_taken"}),
    "a text called delivered that the network never saw": (_never_taken("delivered"), {"never_taken", "untrue_state"}),
    "a doubt that no person was told of": (_doubted, {"doubt_without_person"}),
}


@pytest.mark.parametrize(("change", "broken"), UNTRUE.values(), ids=UNTRUE)
def test_books_that_are_not_true_show(change: Callable[[Chronicle], None], broken: set[str]) -> None:
    story = a_good_session()

    change(story)

    assert rules(story.judged(GOOD_END)) == broken


def test_a_doubt_needs_a_cause() -> None:
    story = a_good_session()
    story.without("d3")
    story.row(story.label("d3"), "unconfirmed", attempts=1, due_at="2026-03-21T16:00:00.000000Z")
    story.task("unconfirmed", "2026-03-21 16:04", about=story.label("d3"))

    assert rules(story.judged(GOOD_END)) == {"missing", "doubt_without_cause"}


def test_a_doubt_with_a_person_is_right() -> None:
    story = a_good_session()
    _doubted(story)
    story.task("unconfirmed", "2026-03-21 16:04", about=story.label("d3"))

    assert story.judged(GOOD_END).violations == []


def test_a_report_that_was_lost_need_not_be_known() -> None:
    story = a_good_session()
    for _, entry in story.entries:
        if entry["kind"] == "reported" and entry["label"]["step"] == "pre_1d":
            entry.update(lost=True, times=0)
    story.row(story.label("pre_1d"), "sent", attempts=1)

    assert story.judged(GOOD_END).violations == []


def test_what_left_a_moment_ago_may_still_be_in_somebodys_hands() -> None:
    story = a_good_session()
    story.row(story.label("onset"), "sending", attempts=1)

    assert story.judged("2026-04-01 16:05").violations == []


def test_a_text_that_a_dead_process_had_in_hand_is_in_doubt() -> None:
    story = a_good_session()
    story.without("d3")
    story.trouble("died", "2026-03-21 16:00:01", "2026-03-21 16:02", who="worker")
    story.row(story.label("d3"), "unconfirmed", attempts=1, due_at="2026-03-21T16:00:00.000000Z")
    story.task("unconfirmed", "2026-03-21 16:04", about=story.label("d3"))

    assert story.judged(GOOD_END).violations == []


def test_an_undelivered_text_that_matters_is_phoned() -> None:
    story = a_good_session()
    story.without("pre_1d")
    story.took("2026-03-17 15:00", "pre_1d", arrives=False, **DAY)
    assert rules(story.judged(GOOD_END)) == {"staff_not_told"}

    story.task("missed_text", "2026-03-17 15:01")

    assert story.judged(GOOD_END).violations == []


def test_a_task_of_the_plan_that_staff_never_got_shows() -> None:
    story = a_good_session()
    story.tasks = []

    verdict = story.judged(GOOD_END)

    assert [(v.rule, v.step) for v in verdict.violations] == [("task_missing", "baseline_missing")]


def test_a_task_for_the_future_is_not_missing() -> None:
    story = a_good_session()
    story.tasks = []

    assert story.judged("2026-03-17 20:00").violations == []


def test_texts_to_staff_are_none_of_the_patients_rules() -> None:
    story = a_good_session()
    label = {"patient": None, "session": None, "step": None, "n": None, "kind": "page", "template": None}
    about = {"number": "+15559999999", "sender": "+15550100001", "body": "Call p1", "attempt": 1, "valid_seconds": 600}
    story.note("took", utc("2026-03-18 03:00"), **about, segments=1, label=label)
    story.row(label, "sent")

    verdict = story.judged(GOOD_END)

    assert verdict.violations == []
    assert verdict.texts == 11
