"""Plans and texts from files: judged whole before anything is used, and a new version where something differs."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from service.flows.approving import RefusedText, approve
from service.flows.rewriting import NoTexts, PlanChange, TextChange, apply_plan, apply_texts, texts_document
from service.store import content
from service.store.tables import Clinic, JournalEntry
from tests.store import factories
from tests.store.factories import NOW

Sessions = sessionmaker[Session]
BY = "kim@example.org"
WORDS = "{{ clinic }}: see you {{ date }} at {{ time }}. Questions: {{ phone }}."


@pytest.fixture
def clinic(sqlite_sessions: Sessions) -> int:
    with sqlite_sessions.begin() as db:
        clinic = factories.clinic(db)
        content.seed_defaults(db, clinic.id, now=NOW, by="test")
        return clinic.id


def written(document: Any) -> bytes:
    return json.dumps(document).encode()


def texts(**by_key: dict[str, str]) -> bytes:
    return written({"templates": [{"key": key, "text": text} for key, text in by_key.items()]})


def take_texts(sessions: Sessions, clinic: int, file: bytes) -> TextChange:
    with sessions.begin() as db:
        return apply_texts(db, db.get_one(Clinic, clinic), file, by=BY, now=NOW)


def take_plan(sessions: Sessions, clinic: int, file: bytes) -> PlanChange:
    with sessions.begin() as db:
        return apply_plan(db, db.get_one(Clinic, clinic), file, by=BY, now=NOW)


def journalled(sessions: Sessions, kind: str) -> list[dict[str, Any]]:
    with sessions() as db:
        return [entry.data for entry in db.query(JournalEntry).filter_by(kind=kind)]


def changed(**over: Any) -> dict[str, Any]:
    return deepcopy(content.shipped_plan()) | over


def with_steps(change: Callable[[list[dict[str, Any]]], object]) -> dict[str, Any]:
    document = changed()
    change(document["steps"])
    return document


# texts


def test_what_is_exported_can_be_applied_and_changes_nothing(sqlite_sessions: Sessions, clinic: int) -> None:
    with sqlite_sessions.begin() as db:
        document = texts_document(db, db.get_one(Clinic, clinic), now=NOW)
    assert len(document["templates"]) == len(content.shipped_templates()["templates"])
    change = take_texts(sqlite_sessions, clinic, written(document))
    assert (change.new, change.unchanged) == ((), 3 * len(document["templates"]))


def test_the_shipped_texts_themselves_can_be_applied(sqlite_sessions: Sessions, clinic: int) -> None:
    assert take_texts(sqlite_sessions, clinic, written(content.shipped_templates())).new == ()


def test_a_new_wording_of_what_nobody_approved_takes_its_place(sqlite_sessions: Sessions, clinic: int) -> None:
    change = take_texts(sqlite_sessions, clinic, texts(pre_1d={"en": WORDS}))
    assert (len(change.new), change.waiting, change.unchanged) == (1, 0, 0)
    with sqlite_sessions() as db:
        live = content.live_templates(db, clinic)["pre_1d", "en"]
        assert (live.version, live.text, live.approved_by, live.created_by) == (2, WORDS, None, BY)
    assert journalled(sqlite_sessions, "text_written") == [
        {"template": "pre_1d", "language": "en", "version": 2, "by": BY}
    ]


def test_a_new_wording_of_what_is_approved_waits(sqlite_sessions: Sessions, clinic: int) -> None:
    with sqlite_sessions.begin() as db:
        approve(db, db.get_one(Clinic, clinic), None, by="Dr. Sample", now=NOW)
    assert take_texts(sqlite_sessions, clinic, texts(pre_1d={"en": f"Well. {WORDS}"})).waiting == 1
    change = take_texts(sqlite_sessions, clinic, texts(pre_1d={"en": WORDS}))
    assert (change.new[0].version, change.waiting) == (3, 1)
    with sqlite_sessions() as db:
        assert content.live_templates(db, clinic)["pre_1d", "en"].version == 1
        newest = content.newest_templates(db, clinic)["pre_1d", "en"]
        assert (newest.version, newest.state, newest.text) == (3, "draft", WORDS)
        document = texts_document(db, db.get_one(Clinic, clinic), now=NOW)
    assert next(t for t in document["templates"] if t["key"] == "pre_1d")["text"]["en"] == WORDS
    assert take_texts(sqlite_sessions, clinic, written(document)).new == ()


def test_a_text_in_another_language_is_in_use_at_once(sqlite_sessions: Sessions, clinic: int) -> None:
    change = take_texts(sqlite_sessions, clinic, texts(pre_1d={"fr": WORDS}))
    assert [(v.language, v.version, v.state) for v in change.new] == [("fr", 1, "live")]


def test_of_texts_with_faults_none_is_taken(sqlite_sessions: Sessions, clinic: int) -> None:
    with pytest.raises(RefusedText, match="Nothing was taken: 1 faults") as refused:
        take_texts(sqlite_sessions, clinic, texts(pre_1d={"en": WORDS, "es": "{{ clinic }}: a las 12:45."}))
    errors = [(f.language, f.code) for f in refused.value.findings if f.severity == "error"]
    assert errors == [("es", "raw_time")]
    with sqlite_sessions() as db:
        assert {version.version for version in content.newest_templates(db, clinic).values()} == {1}


def test_a_warning_is_told(sqlite_sessions: Sessions, clinic: int) -> None:
    change = take_texts(sqlite_sessions, clinic, texts(parking={"en": WORDS}))
    assert [finding.code for finding in change.warnings] == ["unknown_template"]


@pytest.mark.parametrize(
    "file",
    [b"{", b"[]", b"{}", b'{"templates": [1]}', b'{"templates": [{"key": "a", "text": "b"}]}', b"\xff", b"[" * 100_000],
    ids=["half a file", "a list", "no texts", "numbers", "no languages", "no text", "nested without end"],
)
def test_a_file_that_holds_no_texts(sqlite_sessions: Sessions, clinic: int, file: bytes) -> None:
    with pytest.raises(NoTexts, match="Nothing was taken: the file is not like"):
        take_texts(sqlite_sessions, clinic, file)


# the plan


def test_the_plan_in_use_changes_nothing(sqlite_sessions: Sessions, clinic: int) -> None:
    assert take_plan(sqlite_sessions, clinic, written(changed())) == PlanChange(None, (), (), (), ())


def test_what_a_plan_changes(sqlite_sessions: Sessions, clinic: int) -> None:
    document = with_steps(lambda steps: steps.pop())
    gone = content.shipped_plan()["steps"][-1]["key"]
    document["steps"][2]["title"] = "Another title"
    document["steps"].append({**document["steps"][5], "key": "mine"})
    document["caps"] = {**document["caps"], "per_patient_24h": 5}
    change = take_plan(sqlite_sessions, clinic, written(document))
    assert change == PlanChange(2, ("mine",), (gone,), (document["steps"][2]["key"],), ("caps",))
    with sqlite_sessions() as db:
        live = content.live_plan(db, clinic)
        assert live is not None
        assert (live.version, live.document, live.created_by) == (2, document, BY)
    (entry,) = journalled(sqlite_sessions, "plan_applied")
    assert (entry["by"], entry["version"], entry["added"]) == (BY, 2, ["mine"])


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (with_steps(lambda steps: steps[0].update(anchor="birthday")), "plan"),
        (with_steps(lambda steps: steps[2].update(template="parking")), "text_missing"),
        (
            with_steps(
                lambda steps: next(s for s in steps if s["key"] == "d3").update(template="pre_1d", variants=None)
            ),
            "emergency_missing",
        ),
    ],
    ids=["a step that can not be read", "a step without a text", "a text after the session without the emergency line"],
)
def test_a_plan_with_faults_is_not_followed(
    sqlite_sessions: Sessions, clinic: int, document: dict[str, Any], code: str
) -> None:
    with pytest.raises(RefusedText) as refused:
        take_plan(sqlite_sessions, clinic, written(document))
    assert code in {finding.code for finding in refused.value.findings}
    with sqlite_sessions() as db:
        live = content.live_plan(db, clinic)
        assert live is not None
        assert live.version == 1


def test_a_clinic_whose_plan_is_broken_gets_a_good_one(sqlite_sessions: Sessions, clinic: int) -> None:
    with sqlite_sessions.begin() as db:
        content.add_plan(db, clinic, {}, now=NOW + timedelta(hours=1), by="another program")
    change = take_plan(sqlite_sessions, clinic, written(changed()))
    assert (change.version, len(change.added)) == (3, len(content.shipped_plan()["steps"]))
