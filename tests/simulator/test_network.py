"""The world's side of the phone network: what left is in the log, reports and texts from phones find their way or do not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.errors import AftercareError
from service.domain.sms import Accepted, OutgoingSms, Refused, Sender, Unknown
from service.gateways.simulated_network import Span
from service.simulator.labels import Label
from service.simulator.network.carrier import Carrier, Taken, Watchers
from service.simulator.network.reports import Postman
from service.simulator.network.weather import BETWEEN, config, forecast
from service.store.tables import Inbound, RawReceipt
from tests.simulator.stage import DAY, NOON, Stage

LABEL: Label = {"patient": "p0001", "session": None, "step": "a", "n": 0, "kind": "plan", "template": "t"}
PHONE, SENDER = "+15552000001", "+15550100001"


@pytest.fixture
def stage(sqlite_sessions: sessionmaker[Session]) -> Stage:
    return Stage(sqlite_sessions)


def sms(stage: Stage, **over: Any) -> OutgoingSms:
    by = stage.clock.shown() + timedelta(seconds=20)
    values: dict[str, Any] = {"message_id": 1, "attempt": 1, "to": PHONE, "body": "Please call us."}
    return OutgoingSms(**values | {"sender": Sender(SENDER), "validity_seconds": 600, "leave_by": by} | over)


def carrier(stage: Stage, *, taken: Callable[[Taken], None] = lambda _: None, **over: Any) -> Carrier:
    watchers = Watchers(**{"before": lambda _: None, "after": lambda _: None, "taken": taken} | over)
    mute = [Span(NOON + DAY, NOON + 2 * DAY)]
    return Carrier(
        stage.gateway,
        stage.network,
        clock=stage.clock,
        log=stage.log,
        dice=stage.dice,
        label_of=lambda _: LABEL,
        watchers=watchers,
        mute=mute,
    )


def left(stage: Stage) -> list[tuple[str, bool | None]]:
    """What the log says became of texts."""
    return [(e["kind"], e.get("taken")) for e in stage.log if e["kind"] in ("took", "refused", "broke")]


@pytest.mark.parametrize(
    ("network", "outcome", "noted"),
    [
        ({}, Accepted, [("took", None)]),
        ({"busy": 1.0}, Refused, [("refused", None)]),
        ({"fails_before": 1.0}, Unknown, [("broke", False)]),
        ({"fails_after": 1.0}, Unknown, [("took", None), ("broke", True)]),
    ],
    ids=["taken", "refused", "broke before it was taken", "broke after it was taken"],
)
def test_what_the_network_did_with_a_text_is_noted(
    stage: Stage, network: dict[str, float], outcome: type, noted: list[tuple[str, bool | None]]
) -> None:
    stage.behave(**network)
    told = list[Taken]()
    ((message, found),) = carrier(stage, taken=told.append).send_batch([sms(stage)])
    assert (message.message_id, type(found)) == (1, outcome)
    assert left(stage) == noted
    assert len(told) == sum(kind == "took" for kind, _ in noted)


def test_while_the_network_answers_time_goes_on_and_the_watchers_are_called(stage: Stage) -> None:
    moments = list[tuple[str, object]]()
    watching = carrier(
        stage,
        before=lambda _: moments.append(("before", stage.clock.now)),
        after=lambda _: moments.append(("after", stage.clock.now)),
    )
    list(watching.send_batch([sms(stage), sms(stage, message_id=2)]))
    assert [name for name, _ in moments] == ["before", "after", "before", "after"]
    assert NOON == moments[0][1] < moments[1][1] == moments[2][1]  # type: ignore[operator]  # both are moments


@pytest.mark.parametrize("off_by", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
def test_a_clock_that_is_off_does_not_keep_texts_from_leaving_in_time(stage: Stage, off_by: timedelta) -> None:
    stage.clock.off_by = off_by
    list(carrier(stage).send_batch([sms(stage)]))
    assert left(stage) == [("took", None)]


def test_a_text_whose_time_to_leave_is_over_does_not_leave(stage: Stage) -> None:
    late = sms(stage)
    stage.clock.go_on(timedelta(minutes=1))
    list(carrier(stage).send_batch([late]))
    assert left(stage) == [("refused", None)]


def test_the_list_may_be_mute_for_a_while(stage: Stage) -> None:
    through = carrier(stage)
    list(through.send_batch([sms(stage)]))
    assert [listed.to for listed in through.texts_to(PHONE, NOON - DAY)] == [PHONE]
    stage.clock.go_on(DAY)
    with pytest.raises(AftercareError):
        through.texts_to(PHONE, NOON - DAY)
    assert list(through.receipts_for([])) == []
    assert list(through.inbound_since(NOON)) == []
    through.close()


def receipts(stage: Stage) -> list[str]:
    with stage.sessions() as db:
        return [row.status for row in db.scalars(select(RawReceipt).order_by(RawReceipt.id))]


def reported(stage: Stage) -> list[tuple[str, int, bool]]:
    return [(e["state"], e["times"], e["lost"]) for e in stage.noted("reported")]


@pytest.mark.parametrize(
    ("network", "said", "brought"),
    [
        ({}, [("sent", 1, False), ("delivered", 1, False)], ["sent", "delivered"]),
        ({"receipts_lost": 1.0}, [("delivered", 0, True), ("sent", 0, True)], []),
        ({"receipts_doubled": 1.0}, [("sent", 2, False), ("delivered", 2, False)], ["sent", "delivered"]),
        ({"receipts_swapped": 1.0}, [("delivered", 1, False), ("sent", 1, False)], ["delivered", "sent"]),
    ],
    ids=["in order", "lost", "doubled", "swapped"],
)
def test_reports_find_their_way_or_are_lost(
    stage: Stage, network: dict[str, float], said: list[tuple[str, int, bool]], brought: list[str]
) -> None:
    stage.behave(**network)
    postman = Postman(stage.wires, stage.dice)
    list(carrier(stage, taken=postman.expect).send_batch([sms(stage)]))
    stage.happen()
    assert reported(stage) == said
    assert receipts(stage) == brought


def test_a_report_that_finds_the_door_closed_is_gone(stage: Stage) -> None:
    postman = Postman(stage.wires, stage.dice)
    list(carrier(stage, taken=postman.expect).send_batch([sms(stage)]))
    stage.doors_open = False
    stage.happen()
    assert (len(reported(stage)), receipts(stage)) == (2, [])


def test_why_a_text_did_not_arrive_is_noted(stage: Stage) -> None:
    stage.behave(undelivered=1.0)
    postman = Postman(stage.wires, stage.dice)
    list(carrier(stage, taken=postman.expect).send_batch([sms(stage)]))
    stage.happen()
    assert [entry["code"] for entry in stage.noted("reported")] == [None, "30003"]


def heard(stage: Stage) -> list[str]:
    with stage.sessions() as db:
        return list(db.scalars(select(Inbound.body).order_by(Inbound.id)))


def test_what_a_phone_says_is_brought_and_noted_with_the_moment(stage: Stage) -> None:
    stage.phones.say(PHONE, SENDER, "STOP")
    assert stage.phones.unheard
    stage.happen()
    (said,) = stage.noted("said")
    assert (said["no"], said["body"], said["brought"] > said["at"]) == (1, "STOP", True)
    assert (heard(stage), stage.phones.unheard) == (["STOP"], False)


def test_what_is_not_brought_waits_until_it_is_fetched(stage: Stage) -> None:
    stage.doors_open = False
    stage.phones.say(PHONE, SENDER, "C")
    stage.happen()
    assert (heard(stage), stage.noted("said")[0]["brought"], stage.phones.unheard) == ([], None, True)
    stage.phones.fetched()
    assert (stage.noted("said")[0]["brought"] is not None, stage.phones.unheard) == (True, False)


def test_some_texts_are_never_brought_and_none_is_taken_in_twice(stage: Stage) -> None:
    for n in range(120):
        stage.phones.say(PHONE, SENDER, f"text {n}")
    stage.happen()
    unheard = [entry for entry in stage.noted("said") if entry["brought"] is None]
    assert 0 < len(unheard) < 30
    assert len(heard(stage)) == 120 - len(unheard)


def test_the_weather_is_bad_now_and_then_and_never_longer_than_hours(stage: Stage) -> None:
    spans = forecast(stage.dice, NOON, NOON + 300 * DAY)
    assert spans.keys() == BETWEEN.keys()
    for kind, found in spans.items():
        assert 10 < len(found) < 120, kind
        assert all(NOON < span.start < span.end <= span.start + timedelta(hours=12) for span in found)


@pytest.mark.parametrize("provider_stops", [True, False])
def test_a_network_may_leave_opt_outs_to_the_service(stage: Stage, *, provider_stops: bool) -> None:
    spans = forecast(stage.dice, NOON, NOON + 30 * DAY)
    assert bool(config(stage.dice, spans, provider_stops=provider_stops).stop_words) is provider_stops
