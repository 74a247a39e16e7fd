"""Each promise is broken by somebody with plain SQL, in several ways: proving names the rule, and the text or session."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.flows.verification.findings import Rule
from service.store.database import create_engine_for, session_factory
from tests.conftest import copy_of, temporary_database
from tests.flows.clinic_life import at
from tests.flows.verified_life import TREATED, Tampered, fortnight

Copies = Callable[[Path], AbstractContextManager[str]]
Plant = Callable[[Tampered], None]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
REMINDED = at("2026-03-15 10:00")
"""When the reminder of the day before left."""
NURSED = at("2026-03-17 15:00")
"""When the text by staff left."""
STOPPED = NURSED + MINUTE
"""When a phone asked for no more texts."""

ANSWER_TO_STOP = "SELECT id FROM message WHERE template = 'stop_confirm'"
REMINDER = "SELECT id FROM message WHERE step = 'pre_1d'"
BY_STAFF = "SELECT id FROM message WHERE kind = 'staff'"
SESSION = "SELECT id FROM treatment_session"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def copies(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copies]:
    """Gives out copies of the fortnight's database, by their address."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("fortnight")
        _live(copy_of(request.getfixturevalue("sqlite_template"), folder))
        yield lambda copy_to: _sqlite_copy(folder / "aftercare.db", copy_to)
    else:
        server = request.getfixturevalue("postgres")
        with temporary_database(server, request.getfixturevalue("postgres_template")) as name:
            _live(server.url_of(name))
            yield lambda _: _postgres_copy(server, name)


@pytest.fixture
def tampered(copies: Copies, tmp_path: Path) -> Iterator[Tampered]:
    with copies(tmp_path) as url:
        engine = create_engine_for(url)
        yield Tampered(session_factory(engine))
        engine.dispose()


def _live(url: str) -> None:
    engine = create_engine_for(url)
    fortnight(session_factory(engine))
    engine.dispose()


@contextmanager
def _sqlite_copy(lived: Path, folder: Path) -> Iterator[str]:
    yield copy_of(lived, folder)


@contextmanager
def _postgres_copy(server: Any, lived: str) -> Iterator[str]:
    with temporary_database(server, lived) as name:
        yield server.url_of(name)


def sql(statement: str, **values: object) -> Plant:
    """A statement, in which ``{reminder}`` is the text of the day before the session and ``{staff}`` the one by staff."""
    words = statement.format(reminder=f"({REMINDER})", staff=f"({BY_STAFF})", session=f"({SESSION})")
    return lambda tampered: tampered.sql(words, **values)


def all_of(*plants: Plant) -> Plant:
    def plant(tampered: Tampered) -> None:
        for each in plants:
            each(tampered)

    return plant


def unlocked(table: str) -> Plant:
    return lambda tampered: tampered.unlock(table)


def attempt(
    of: str = REMINDER, *, n: int = 2, at: datetime = REMINDED + HOUR, outcome: str | None = "accepted"
) -> Plant:
    """One more handing over of a text."""
    columns = "clinic_id, patient_id, number, sender_id, text, body_hash, encoding, segments, counts"
    return sql(
        f"INSERT INTO send_attempt (message_id, n, started_at, outcome, provider_sid, {columns})"  # noqa: S608
        f" SELECT message_id, :n, :at, :outcome, :sid, {columns} FROM send_attempt WHERE message_id = ({of}) AND n = 1",
        n=n,
        at=at,
        outcome=outcome,
        sid=None if outcome is None else f"SMplanted{n}",
    )


def noted(kind: str, *, at: datetime, reason: str | None = None, data: str = "{{}}", of: str = REMINDER) -> Plant:
    """One more line of the journal about a text."""
    return sql(
        "INSERT INTO journal (at, kind, reason, message_id, session_id, data)"  # noqa: S608
        f" SELECT :at, :kind, :reason, id, session_id, '{data}' FROM message WHERE id = ({of})",
        at=at,
        kind=kind,
        reason=reason,
    )


def ledger(kind: str, *, at: datetime, number: str = TREATED, sender: int | None = None) -> Plant:
    return sql(
        "INSERT INTO consent (clinic_id, number, sender_id, kind, at, method)"
        " SELECT id, :number, :sender, :kind, :at, 'form' FROM clinic",
        number=number,
        sender=sender,
        kind=kind,
        at=at,
    )


def left_at(moment: datetime, of: str = REMINDER) -> Plant:
    return sql(f"UPDATE send_attempt SET started_at = :at WHERE message_id = ({of})", at=moment)  # noqa: S608


def other_clinic(tampered: Tampered) -> None:
    """Another clinic that sends from the same number."""
    tampered.sql(
        "INSERT INTO clinic (key, name, sms_name, time_zone, country, phone, sender_id)"
        " VALUES ('other', 'Other', 'Other', 'America/Chicago', 'US', '+13125550177', 1)"
    )


def crowd(count: int, *, apart: timedelta) -> Plant:
    """So many more texts by staff to one patient, each of its own."""

    def plant(tampered: Tampered) -> None:
        for n in range(count):
            tampered.sql(
                "INSERT INTO message (clinic_id, identity, kind, patient_id, urgency, priority, sender_id, state, attempts)"
                " SELECT clinic_id, :identity, kind, patient_id, urgency, priority, sender_id, 'unconfirmed', 1"
                " FROM message WHERE kind = 'staff' AND identity = 'staff:a'",
                identity=f"crowd:{n}",
            )
            of = f"SELECT id FROM message WHERE identity = 'crowd:{n}'"  # noqa: S608
            columns = "clinic_id, patient_id, number, sender_id, text, body_hash, encoding, segments"
            tampered.sql(
                f"INSERT INTO send_attempt (message_id, n, started_at, outcome, {columns})"  # noqa: S608
                f" SELECT ({of}), 1, :at, 'unknown', {columns} FROM send_attempt WHERE message_id = ("
                "SELECT id FROM message WHERE identity = 'staff:a')",
                at=NURSED - apart * (n + 1),
            )
            noted("unconfirmed", at=NURSED, of=of)(tampered)

    return plant


def removed(*steps: str) -> Plant:
    """Rows of the plan, with all that was ever noted of them."""
    names = ", ".join(f"'{step}'" for step in steps)
    which = f"(SELECT id FROM message WHERE step IN ({names}))"  # noqa: S608
    return all_of(
        unlocked("journal"),
        sql(f"DELETE FROM journal WHERE message_id IN {which}"),  # noqa: S608
        sql(f"DELETE FROM send_attempt WHERE message_id IN {which}"),  # noqa: S608
        sql(f"DELETE FROM message WHERE step IN ({names})"),  # noqa: S608
    )


def answer(template: str, *, state: str = "planned", urgency: str = "reply") -> Plant:
    """One more answer to the call for help."""
    return sql(
        "INSERT INTO message (clinic_id, identity, kind, inbound_id, template, urgency, priority, sender_id, state, reason)"
        " SELECT clinic_id, 'reply:planted', 'reply', inbound_id, :template, :urgency, 0, sender_id, :state, 'x'"
        " FROM message WHERE template = 'help'",
        template=template,
        urgency=urgency,
        state=state,
    )


FAULTS: dict[Rule, dict[str, Plant]] = {
    Rule.SENT_TWICE: {
        "a second request was taken": attempt(),
        "a second request may have been taken": attempt(outcome="unknown"),
        "a second request is under way": all_of(
            attempt(outcome=None), sql("UPDATE message SET state = 'sending', attempts = 2 WHERE id = {reminder}")
        ),
        "the report that the first one failed came after the second": all_of(
            attempt(),
            noted("receipt", at=REMINDED + 2 * HOUR, data='{{"attempt": 1, "state": "undelivered"}}'),
        ),
        "what had failed was another one": all_of(
            attempt(), noted("receipt", at=REMINDED, data='{{"attempt": 7, "state": "failed"}}')
        ),
        "the first was held for not sent, and had been taken": all_of(
            attempt(), noted("not_sent", at=REMINDED, data='{{"attempt": 1}}')
        ),
        "the provider reports an id of its own": noted(
            "receipt", at=REMINDED + MINUTE, data='{{"attempt": null, "state": "sent"}}'
        ),
    },
    Rule.SENT_AFTER_OPT_OUT: {
        "withdrawn at the clinic": ledger("revoked", at=REMINDED - MINUTE),
        "withdrawn a second before": ledger("revoked", at=REMINDED - timedelta(seconds=1)),
        "withdrawn from the sender": ledger("revoked", at=REMINDED - DAY, sender=1),
        "withdrawn at another clinic of the same sender": all_of(
            other_clinic,
            sql(
                "INSERT INTO consent (clinic_id, number, sender_id, kind, at)"
                " SELECT id, :number, 1, 'revoked', :at FROM clinic WHERE key = 'other'",
                number=TREATED,
                at=REMINDED - DAY,
            ),
        ),
        "an answer that rests on consent, after the opt-out": all_of(
            left_at(STOPPED + MINUTE, ANSWER_TO_STOP),
            sql("UPDATE message SET template = 'start_confirm' WHERE template = 'stop_confirm'"),
        ),
        "the confirmation of an opt-out, as the answer to nothing": all_of(
            left_at(STOPPED + MINUTE, ANSWER_TO_STOP),
            sql("UPDATE message SET inbound_id = NULL WHERE template = 'stop_confirm'"),
        ),
    },
    Rule.SENT_WITHOUT_CONSENT: {
        "nobody agreed": all_of(unlocked("consent"), sql("DELETE FROM consent")),
        "agreed later": all_of(unlocked("consent"), sql("UPDATE consent SET at = :at", at=REMINDED + MINUTE)),
        "agreed with another clinic": all_of(
            unlocked("consent"),
            other_clinic,
            sql("UPDATE consent SET clinic_id = (SELECT id FROM clinic WHERE key = 'other')"),
        ),
        "to a number that nobody agreed to": sql(
            "UPDATE send_attempt SET number = '+12025550199' WHERE message_id = {reminder}"
        ),
        "agreed at a time that nobody can read": all_of(
            unlocked("consent"), sql("UPDATE consent SET at = :at", at=datetime.fromisoformat("9999-01-01T00:00+00:00"))
        ),
    },
    Rule.SENT_AFTER_WITHDRAWAL: {
        "the session had been cancelled": sql(
            "UPDATE treatment_session SET status = 'cancelled', cancelled_at = :at", at=at("2026-03-18 09:00")
        ),
        "the session had been cancelled, and planning knows": sql(
            "UPDATE treatment_session SET status = 'cancelled', planned_status = 'cancelled', completion_known_at = NULL,"
            " cancelled_at = :at",
            at=REMINDED - MINUTE,
        ),
        "the session had been missed": sql(
            "UPDATE treatment_session SET status = 'no_show', no_show_at = :at", at=at("2026-03-18 09:00")
        ),
        "the session had taken place": sql(
            "UPDATE treatment_session SET completion_known_at = :at", at=REMINDED - MINUTE
        ),
        "the session was booked again": sql(
            "UPDATE treatment_session SET status = 'booked', completed_at = NULL, moved_at = :at",
            at=at("2026-03-18 09:00"),
        ),
        "the session had been entered in error": all_of(
            sql("UPDATE treatment_session SET status = 'entered_in_error', completion_known_at = NULL"),
            noted(
                "withdrawn",
                at=REMINDED - DAY,
                reason="session_entered_in_error",
                of="SELECT MAX(id) FROM message WHERE step = 'onset'",
            ),
        ),
        "the session had been moved": sql(
            "UPDATE treatment_session SET status = 'booked', completion_known_at = NULL, moved_at = :at, planned_start = :start",
            at=REMINDED - DAY,
            start=at("2026-03-16 16:00"),
        ),
        "planning had withdrawn the text": noted("withdrawn", at=REMINDED - MINUTE, reason="moved"),
        "staff had skipped the text": noted("skipped", at=REMINDED - MINUTE, reason="the patient knows"),
        "brought back, and ended again": all_of(
            noted("withdrawn", at=REMINDED - HOUR),
            noted("revived", at=REMINDED - 2 * MINUTE),
            noted("missed", at=REMINDED - MINUTE, reason="expired"),
        ),
        "brought back too late": all_of(
            noted("withdrawn", at=REMINDED - MINUTE), noted("revived", at=REMINDED + MINUTE)
        ),
        "the plan has no such step": sql("UPDATE message SET step = 'no_such_step' WHERE id = {reminder}"),
    },
    Rule.SENT_AFTER_EXPIRY: {
        "it was of no use any more": sql(
            "UPDATE message SET expires_at = :at WHERE id = {reminder}", at=REMINDED - HOUR
        ),
        "it was of use for half a minute": sql(
            "UPDATE message SET expires_at = :at WHERE id = {reminder}", at=REMINDED + MINUTE / 2
        ),
        "it left a day later": left_at(REMINDED + 2 * DAY),
        "an answer left two days later": left_at(NURSED + 2 * DAY, "SELECT id FROM message WHERE template = 'help'"),
    },
    Rule.SENT_OUTSIDE_WINDOW: {
        "at three in the night": left_at(at("2026-03-15 03:00")),
        "planned at three in the night, too": all_of(
            left_at(at("2026-03-15 03:00")),
            sql("UPDATE message SET due_at = :at WHERE id = {reminder}", at=at("2026-03-15 03:00")),
        ),
        "planned at three in the next night, too": all_of(
            left_at(at("2026-03-16 03:00")),
            sql("UPDATE message SET due_at = :at WHERE id = {reminder}", at=at("2026-03-16 03:00")),
        ),
        "by hours that are nobody's": all_of(
            left_at(at("2026-03-15 03:00")),
            sql("UPDATE send_attempt SET hours = 'America/Chicago 00:00-23:59' WHERE message_id = {reminder}"),
        ),
        "no hours were noted": all_of(
            left_at(at("2026-03-15 03:00")), sql("UPDATE send_attempt SET hours = NULL WHERE message_id = {reminder}")
        ),
        "a text by staff, and no hours were noted": all_of(
            left_at(at("2026-03-17 02:00"), BY_STAFF), sql("UPDATE send_attempt SET hours = NULL")
        ),
        "hours that nobody can read": all_of(
            left_at(at("2026-03-15 03:00")), sql("UPDATE send_attempt SET hours = 'whenever'")
        ),
        "a moment before the opening": left_at(at("2026-03-15 08:59")),
        "half a minute before the end": left_at(at("2026-03-15 18:59") + MINUTE / 2),
        "aftercare at half past nine": left_at(
            at("2026-03-16 21:30"), "SELECT id FROM message WHERE step = 'aftercare_2'"
        ),
        "a text by staff in the night": left_at(at("2026-03-17 02:00"), BY_STAFF),
        "a question of the plan in its own hours' night": left_at(
            at("2026-03-19 09:30"), "SELECT id FROM message WHERE step = 'd3'"
        ),
    },
    Rule.SENT_OVER_CAP: {
        "the seventh text in a day": crowd(6, apart=MINUTE),
        "the thirteenth text in a week": crowd(12, apart=12 * HOUR),
        "the seventh, and nobody noted whose": all_of(
            crowd(6, apart=MINUTE), sql("UPDATE send_attempt SET patient_id = NULL WHERE outcome = 'unknown'")
        ),
        "six more handings over of one text": all_of(
            *(attempt(BY_STAFF, n=n, at=NURSED + n * MINUTE) for n in range(2, 8))
        ),
    },
    Rule.UNAPPROVED_TEXT: {
        "no version is pinned": sql("UPDATE message SET template_version_id = NULL WHERE id = {reminder}"),
        "the answer has no version": sql("UPDATE message SET template_version_id = NULL WHERE template = 'help'"),
        "a draft": sql(
            "UPDATE template_version SET state = 'draft' WHERE id ="
            " (SELECT template_version_id FROM message WHERE id = {reminder})"
        ),
        "written later": sql(
            "UPDATE template_version SET created_at = :at WHERE id ="
            " (SELECT template_version_id FROM message WHERE id = {reminder})",
            at=REMINDED + MINUTE,
        ),
        "a version of another text": sql(
            "UPDATE message SET template_version_id ="
            " (SELECT id FROM template_version WHERE key = 'pre_7d' AND language = 'en') WHERE id = {reminder}"
        ),
        "another clinic's version": all_of(
            other_clinic,
            sql(
                "UPDATE template_version SET clinic_id = (SELECT id FROM clinic WHERE key = 'other') WHERE id ="
                " (SELECT template_version_id FROM message WHERE id = {reminder})"
            ),
        ),
        "other words than the version's": sql(
            "UPDATE send_attempt SET text = 'Come as you are.' WHERE message_id = {reminder}"
        ),
        "a word more than the version": sql(
            "UPDATE send_attempt SET text = text || ' Bye.' WHERE message_id = {reminder}"
        ),
        "words of the version changed afterwards": sql(
            "UPDATE template_version SET text = 'Nothing.' WHERE id ="
            " (SELECT template_version_id FROM message WHERE id = {reminder})"
        ),
    },
    Rule.AFTERCARE_MISSING: {
        "cancelled without a reason": sql(
            "UPDATE message SET state = 'cancelled', reason = NULL WHERE step = 'aftercare_2'"
        ),
        "cancelled with a blank for a reason": sql(
            "UPDATE message SET state = 'cancelled', reason = ' ' WHERE step = 'aftercare_2'"
        ),
        "missed, and staff not told": sql(
            "UPDATE message SET state = 'missed', reason = 'cap' WHERE step = 'aftercare_2'"
        ),
        "still waiting": sql("UPDATE message SET state = 'planned' WHERE step = 'aftercare_1'"),
        "waiting for the hours, for days": sql(
            "UPDATE message SET state = 'planned', held_reason = 'window' WHERE step = 'aftercare_1'"
        ),
        "one row is gone": removed("aftercare_late"),
        "the first part is gone": removed("aftercare_1"),
        "all of it is gone": removed("aftercare_1", "aftercare_late", "aftercare_2", "evening"),
        "everything about the session is gone": all_of(
            unlocked("journal"),
            sql("DELETE FROM journal WHERE session_id IS NOT NULL"),
            sql("DELETE FROM send_attempt WHERE message_id IN (SELECT id FROM message WHERE session_id IS NOT NULL)"),
            sql("DELETE FROM message WHERE session_id IS NOT NULL"),
        ),
    },
    Rule.STATE_WITHOUT_STORY: {
        "delivered by hand": sql("UPDATE message SET state = 'delivered' WHERE step = 'onset'"),
        "sent by hand": sql("UPDATE message SET state = 'sent' WHERE step = 'onset'"),
        "undelivered by hand": sql("UPDATE message SET state = 'undelivered' WHERE step = 'onset'"),
        "failed by hand": sql("UPDATE message SET state = 'failed', reason = 'x' WHERE step = 'onset'"),
        "unconfirmed by hand": sql("UPDATE message SET state = 'unconfirmed' WHERE step = 'onset'"),
        "leaving by hand": sql("UPDATE message SET state = 'sending' WHERE step = 'onset'"),
        "cancelled by hand": sql("UPDATE message SET state = 'cancelled', reason = 'x' WHERE step = 'onset'"),
        "cancelled without a reason": sql("UPDATE message SET reason = NULL WHERE step = 'aftercare_late'"),
        "missed by hand": sql("UPDATE message SET state = 'missed', reason = 'expired' WHERE step = 'onset'"),
        "delivered went back to sent": sql("UPDATE message SET state = 'sent' WHERE id = {reminder}"),
        "delivered became undelivered": sql("UPDATE message SET state = 'undelivered' WHERE id = {reminder}"),
        "sent again by hand": sql("UPDATE message SET state = 'planned' WHERE id = {reminder}"),
        "counts a handing over that is not there": sql("UPDATE message SET attempts = 1 WHERE step = 'onset'"),
        "its handing over is gone": sql("DELETE FROM send_attempt WHERE message_id = {reminder}"),
        "its story is gone": all_of(unlocked("journal"), sql("DELETE FROM journal WHERE message_id = {reminder}")),
        "a new row that says it was delivered": all_of(
            sql(
                "INSERT INTO message (clinic_id, identity, kind, urgency, priority, sender_id, state)"
                " SELECT id, 'page:9', 'page', 'safety', 0, 1, 'delivered' FROM clinic"
            )
        ),
    },
    Rule.TWO_REPLIES_TO_ONE_TEXT: {
        "two of one kind": answer("help"),
        "two of one kind, one of them delivered": answer("help", state="delivered"),
        "two kinds": answer("unknown_reply"),
        "the confirmation of an opt-out, and no alarm": answer("stop_confirm"),
        "an alarm, and no opt-out": answer("crisis", urgency="safety"),
    },
}
KEPT: dict[str, Plant] = {
    "a second request after a report that the first one failed": all_of(
        attempt(), noted("receipt", at=REMINDED + MINUTE, data='{{"attempt": 1, "state": "undelivered"}}')
    ),
    "a second request after proof that the first one had not left": all_of(
        sql("UPDATE send_attempt SET outcome = 'unknown' WHERE message_id = {reminder}"),
        noted("not_sent", at=REMINDED + MINUTE, data='{{"attempt": 1}}'),
        attempt(),
    ),
    "a second request that was refused": attempt(outcome="refused"),
    "the night, where nobody knows any hours": all_of(
        sql("UPDATE message SET plan_version_id = NULL WHERE id = {reminder}"),
        sql("UPDATE send_attempt SET hours = NULL"),
        left_at(at("2026-03-15 03:00")),
    ),
    "a clinic in nowhere, and no hours were noted": all_of(
        sql("UPDATE clinic SET time_zone = 'Mars/North'"), sql("UPDATE send_attempt SET hours = NULL")
    ),
    "withdrawn at the moment of the last look": ledger("revoked", at=at("2026-03-19 11:00")),
    "withdrawn from another sender": all_of(
        sql("INSERT INTO sender (key) VALUES ('other')"),
        other_clinic,
        sql(
            "INSERT INTO consent (clinic_id, number, sender_id, kind, at)"
            " SELECT clinic.id, :number, sender.id, 'revoked', :at FROM clinic, sender"
            " WHERE clinic.key = 'other' AND sender.key = 'other'",
            number=TREATED,
            at=REMINDED - DAY,
        ),
    ),
    "an alarm in the text that is an opt-out, too": all_of(
        answer("red_flag", urgency="safety"),
        sql(
            "UPDATE message SET inbound_id = (SELECT inbound_id FROM message WHERE template = 'stop_confirm')"
            " WHERE template = 'red_flag'"
        ),
    ),
    "a second answer that was taken back": answer("unknown_reply", state="cancelled"),
    "aftercare that is held": sql(
        "UPDATE message SET state = 'planned', held_reason = 'paused' WHERE step = 'aftercare_late'"
    ),
    "aftercare that was missed, and staff were told": all_of(
        sql("UPDATE message SET state = 'missed', reason = 'paused' WHERE step = 'aftercare_late'"),
        sql(
            "INSERT INTO task (clinic_id, identity, kind, level, due_at, state)"
            " SELECT clinic_id, 'missed:' || identity, 'missed_text', 'amber', :at, 'closed' FROM message"
            " WHERE step = 'aftercare_late'",
            at=REMINDED,
        ),
    ),
    "the first six texts of a day": crowd(5, apart=MINUTE),
}
PLANTED = [(rule, plant, f"{rule}: {name}") for rule, plants in FAULTS.items() for name, plant in plants.items()]


def test_every_rule_has_faults() -> None:
    assert FAULTS.keys() == set(Rule)


def test_two_weeks_in_which_nothing_went_wrong(tampered: Tampered) -> None:
    found = tampered.findings()
    assert found.in_order() == []
    assert found.ok
    assert min(found.checked[rule] for rule in Rule) > 0


@pytest.mark.parametrize(("rule", "plant"), [case[:2] for case in PLANTED], ids=[case[2] for case in PLANTED])
def test_a_planted_fault_is_named(tampered: Tampered, rule: Rule, plant: Plant) -> None:
    plant(tampered)
    broken = [violation for violation in tampered.broken() if violation.rule is rule]
    assert broken
    assert all(violation.message_id or violation.session_id for violation in broken)
    words = " ".join(violation.detail for violation in broken)
    assert TREATED not in words
    assert "Lakeside" not in words


@pytest.mark.parametrize("plant", KEPT.values(), ids=KEPT)
def test_what_is_no_fault(tampered: Tampered, plant: Plant) -> None:
    plant(tampered)
    assert tampered.broken() == []
