"""Reading a plan: everything the file says arrives, and a plan that could send something wrong is refused in sentences."""

from collections.abc import Callable
from copy import deepcopy
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest

import service.domain
from service.domain.careplan import Anchor, CareDayEnd, DaysAt, Evening, Late, Minutes, Urgency, UselessAfter
from service.domain.conditions import CONDITIONS
from service.domain.plan_file import PlanError, read_plan, window
from service.domain.windows import Window
from service.store.content import shipped_plan
from tests.domain.cases import Book, on_both_plans, shipped

Document = dict[str, Any]


@on_both_plans
def test_every_step_arrives_with_everything_the_file_says_of_it(book: Book) -> None:
    assert [step.key for step in book.plan.steps] == [raw["key"] for raw in book.document["steps"]]
    for order, (step, raw) in enumerate(zip(book.plan.steps, book.document["steps"], strict=True)):
        assert step.order == order
        assert (step.title, step.anchor, step.urgency, step.late) == (
            raw["title"],
            raw["anchor"],
            raw["urgency"],
            raw["late_booking"],
        )
        assert step.conditions == tuple(raw["condition"])
        assert (step.expects, step.template, step.note) == (raw["expects"], raw["template"], raw.get("note", ""))
        assert step.plans == set(raw["plans"])
        assert step.window == window(raw["window"]["from"], raw["window"]["to"])
        assert step.is_text is (raw["kind"] == "text")
        assert (step.fixed, step.counts_in_n_msgs) == (raw.get("fixed", False), raw.get("counts_in_n_msgs", False))
        assert (step.nudges, step.after_step) == (raw.get("nudges"), tuple(raw.get("after_step", ())))
        assert step.on_missed_task is ("on_missed" in raw)


def test_times_and_ends_of_the_shipped_steps() -> None:
    step = shipped().step
    assert step("booked").offset == Minutes(10)
    assert step("pre_7d").offset == DaysAt(-7, time(10))
    assert step("evening").offset == Evening()
    assert step("booked").useless_after == UselessAfter(Anchor.SESSION_START, Minutes(-2880))
    assert step("repeat_due").useless_after == UselessAfter(Anchor.DUE, DaysAt(-3, time(19)))
    assert step("evening").useless_after == UselessAfter(Anchor.COMPLETED, CareDayEnd())
    assert step("payer").useless_after is None
    assert (step("aftercare_1").urgency, step("d3").urgency) == (Urgency.CARE, Urgency.ROUTINE)
    assert (step("booked").late, step("d3").late, step("pre_1d").late) == (Late.SKIP, Late.NEXT_WINDOW, Late.SEND_NOW)


@pytest.mark.parametrize("plan", ["standard", "lite"])
def test_the_plan_tells_patients_the_number_of_texts_that_it_has(plan: str) -> None:
    assert shipped().plan.n_msgs(plan) == shipped_plan()["plans"][plan]["n_msgs"]


def test_what_is_not_about_steps() -> None:
    plan = shipped().plan
    assert plan.plans == ("standard", "lite")
    assert (plan.caps.per_24h, plan.caps.per_7d) == (6, 12)
    assert {"crisis", "red_flag", "stop_confirm", "help"} <= plan.caps.outside
    assert plan.max_lengths["time"] == 10
    assert set(plan.keywords) == {"stop", "help", "start", "start_in_context"}
    assert "baja" in plan.keywords["stop"]
    assert plan.safety_phrases["keep_prescribed"]["en"].startswith("Keep taking aspirin")
    assert plan.step("no such step") is None
    assert plan.step(None) is None


def test_the_rules_arrive_with_their_words_in_every_language() -> None:
    rules = {rule.key: rule for rule in shipped().plan.rules}
    assert rules["alcohol"].duration == timedelta(hours=24)
    assert rules["alcohol"].phrases == {"en": "alcohol", "es": "alcohol", "tr": "alkol"}
    assert rules["head_up"].duration is None
    assert [key for key, rule in rules.items() if not rule.in_allclear] == ["aspirin", "head_up"]


def test_what_a_step_says_of_itself() -> None:
    step = shipped().step
    assert step("d3").asks_number
    assert step("count_w4").asks_number
    assert not step("pre_1d").asks_number
    assert step("baseline").counts_headache_days
    assert not step("baseline_nudge").counts_headache_days
    assert not step("d3").counts_headache_days
    assert [s.key for s in shipped().plan.steps if not s.needs_consent] == ["optin"]
    assert [s.key for s in shipped().plan.steps if s.is_text and not s.counts_for_day] == ["welcome"]
    assert not step("payer").counts_for_day


def test_the_privacy_of_a_patient_chooses_the_text() -> None:
    assert shipped().step("pre_7d").template_for("explicit") == "pre_7d_explicit"
    assert shipped().step("pre_7d").template_for("neutral") == "pre_7d"
    assert shipped().step("pre_1d").template_for("explicit") == "pre_1d"


def test_safety_and_replies_go_before_care_and_care_before_the_rest() -> None:
    assert [u.priority for u in (Urgency.SAFETY, Urgency.REPLY, Urgency.CARE, Urgency.ROUTINE)] == [0, 0, 1, 2]


def test_tasks_before_a_session_come_again_when_it_is_moved() -> None:
    step = shipped().step
    assert step("not_confirmed").again_after_move
    assert step("pre_1d").again_after_move
    assert not step("pre_7d").again_after_move
    assert not step("payer").again_after_move


def test_a_text_is_sent_again_after_a_move_only_where_the_file_says_so() -> None:
    steps = [{k: v for k, v in step.items() if k != "again_after_move"} for step in shipped_plan()["steps"]]
    silent = read_plan({**shipped_plan(), "steps": steps})
    assert not any(step.again_after_move for step in silent.steps if step.is_text)


def test_no_step_is_known_to_the_code_by_its_key() -> None:
    folder = Path(service.domain.__file__).parent
    code = "\n".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    keys = {step["key"] for step in shipped_plan()["steps"]} - set(CONDITIONS) - {anchor.value for anchor in Anchor}
    assert [key for key in sorted(keys - {"evening"}) if f'"{key}"' in code] == []


def _step(document: Document, key: str, **fields: Any) -> None:
    next(step for step in document["steps"] if step["key"] == key).update(fields)


FAULTS: dict[str, tuple[Callable[[Document], Any], str]] = {
    "condition nobody knows": (
        lambda d: _step(d, "d3", condition=["full_moon"]),
        "Step 'd3': condition 'full_moon' is not known; known are a_rule_ended, ",
    ),
    "anchor nobody knows": (lambda d: _step(d, "d3", anchor="easter"), "Step 'd3': 'easter' is not a valid Anchor."),
    "offset nobody knows": (lambda d: _step(d, "d3", offset="morning"), "Step 'd3': offset 'morning' is not known."),
    "offset without days": (lambda d: _step(d, "d3", offset={"at": "11:00"}), "Step 'd3': 'days' is missing."),
    "hour that no day has": (
        lambda d: _step(d, "d3", offset={"days": 3, "at": "25:00"}),
        "Step 'd3': hour must be in 0..23.",
    ),
    "clock time with a zone": (
        lambda d: _step(d, "d3", offset={"days": 3, "at": "11:00+02:00"}),
        "Step 'd3': '11:00+02:00' is no time of day like 09:00.",
    ),
    "window of seconds": (
        lambda d: _step(d, "d3", window={"from": "10:00:30", "to": "10:01"}),
        "Step 'd3': '10:00:30' is no time of day like 09:00.",
    ),
    "window that is never open": (
        lambda d: _step(d, "d3", window={"from": "19:00", "to": "10:00"}),
        "Step 'd3': a window from 19:00 to 10:00 is never open.",
    ),
    "lateness nobody knows": (
        lambda d: _step(d, "d3", late_booking="maybe"),
        "Step 'd3': 'maybe' is not a valid Late.",
    ),
    "text that never expires": (
        lambda d: _step(d, "d3", useless_after=None),
        "Step 'd3': a text needs a useless_after.",
    ),
    "end nobody knows": (
        lambda d: _step(d, "d3", useless_after={"rule": "sunset"}),
        "Step 'd3': useless_after rule 'sunset' is not known.",
    ),
    "end that may never be known": (
        lambda d: _step(d, "pre_7d", useless_after={"from": "completed", "minutes": 60}),
        "Step 'pre_7d': completed may not be known when session_start is, so it might never expire.",
    ),
    "end of a session on a step of the person": (
        lambda d: _step(d, "welcome", useless_after={"from": "session_start", "minutes": 60}),
        "Step 'welcome': session_start may not be known when consented is, so it might never expire.",
    ),
    "condition of a session on a step of the person": (
        lambda d: _step(d, "welcome", condition=["first_session"]),
        "Step 'welcome': condition 'first_session' is about a session, and consented is about none.",
    ),
    "planned step that jumps every queue": (
        lambda d: _step(d, "d3", urgency="safety"),
        "Step 'd3': a planned step is care or routine, not safety.",
    ),
    "plan that is not there": (
        lambda d: _step(d, "d3", plans=["deluxe"]),
        "Step 'd3' is on in plan 'deluxe', which is not there.",
    ),
    "nudge of nothing": (
        lambda d: _step(d, "count_w4_nudge", nudges="count_w5"),
        "Step 'count_w4_nudge' refers to step 'count_w5', which does not stand before it.",
    ),
    "part that goes after a later one": (
        lambda d: _step(d, "aftercare_1", after_step=["aftercare_2"]),
        "Step 'aftercare_1' refers to step 'aftercare_2', which does not stand before it.",
    ),
    "same key twice": (lambda d: d["steps"].append(d["steps"][0]), "Step 'optin' stands there more than once."),
    "field that is missing": (lambda d: d["steps"][0].pop("title"), "Step 'optin': 'title' is missing."),
    "step without a key": (lambda d: d["steps"][1].pop("key"), "Step 2: 'key' is missing."),
    "step that is no step": (lambda d: d["steps"].insert(0, "d3"), "Step 1: string indices must be integers"),
    "rule without a duration": (lambda d: d["rules"][0].pop("duration_h"), "Rule 'bend': 'duration_h' is missing."),
    "part of the file that is missing": (lambda d: d.pop("caps"), "The part 'caps' is missing."),
    "file of nothing": (lambda d: d.clear(), "The part 'plans' is missing. The part 'steps' is missing."),
}


@pytest.mark.parametrize(("spoil", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_a_plan_with_a_fault_is_refused(spoil: Callable[[Document], Any], sentence: str) -> None:
    document = deepcopy(shipped_plan())
    spoil(document)
    with pytest.raises(PlanError) as refused:
        read_plan(document)
    assert str(refused.value).startswith("The plan can not be used; the one in use stays. ")
    assert sentence in str(refused.value)


def test_every_fault_is_told_at_once() -> None:
    document = deepcopy(shipped_plan())
    _step(document, "d3", anchor="easter")
    _step(document, "onset", plans=["deluxe"])
    with pytest.raises(PlanError) as refused:
        read_plan(document)
    assert [fault.split(":")[0].split(" is on")[0] for fault in refused.value.faults] == ["Step 'd3'", "Step 'onset'"]


@pytest.mark.parametrize("anchor", ["booked", "moved", "cancelled", "no_show"])
def test_a_text_may_end_a_while_after_its_own_event(anchor: str) -> None:
    document = deepcopy(shipped_plan())
    _step(document, anchor, useless_after={"from": anchor, "minutes": 60})
    step = read_plan(document).step(anchor)
    assert step is not None
    assert step.useless_after == UselessAfter(Anchor(anchor), Minutes(60))


def test_a_window_is_written_as_two_times_of_day() -> None:
    assert window("08:00", "21:00") == Window(time(8), time(21))
