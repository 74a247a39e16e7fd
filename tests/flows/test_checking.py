"""Whether a plan and its texts may be used, and what a person is told who wants to use them."""

import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.composition import TemplateText
from service.domain.plan_file import read_plan
from service.flows import checking
from service.flows.practice import NoSuchClinic, shipped_plan, shipped_texts
from service.store import content
from service.store.tables import PlanVersion, TemplateVersion
from tests.store import factories
from tests.store.factories import NOW

SHIPPED = checking.shipped()


def plan(**over: Any) -> dict[str, Any]:
    return deepcopy(dict(SHIPPED.document)) | over


def text(key: str, words: str, language: str = "en") -> TemplateText:
    return TemplateText(key=key, language=language, version=2, version_id=None, text=words)


def test_the_shipped_plan_and_texts_are_in_order() -> None:
    assert checking.check_plan(SHIPPED.document, SHIPPED.template_keys) == []
    assert checking.check_texts(SHIPPED.texts, read_plan(SHIPPED.document)) == []


def test_faults_of_steps_are_told_one_by_one() -> None:
    document = plan()
    document["steps"][0]["anchor"] = "birthday"
    document["steps"][1]["condition"] = ["full_moon"]
    first, second = checking.check_plan(document, SHIPPED.template_keys)
    assert first.code == second.code == "plan"
    assert first.severity == second.severity == "error"
    assert "'optin'" in first.message
    assert "birthday" in first.message
    assert "full_moon" in second.message


@pytest.mark.parametrize(
    ("document", "told"),
    [
        pytest.param({}, "'steps' is missing", id="an empty plan"),
        pytest.param(plan(caps={}), "'per_patient_24h' is missing", id="caps without numbers"),
        pytest.param(plan(steps=["booked"]), "Step 1", id="steps that are words"),
        pytest.param([], "wrong shape", id="a list"),
        pytest.param(None, "wrong shape", id="nothing"),
    ],
)
def test_a_document_that_is_no_plan(document: Any, told: str) -> None:
    findings = checking.check_plan(document, SHIPPED.template_keys)
    assert {finding.code for finding in findings} == {"plan"}
    assert any(told in finding.message for finding in findings)


def test_a_step_without_a_text() -> None:
    (finding,) = checking.check_plan(SHIPPED.document, SHIPPED.template_keys - {"pre_7d_explicit"})
    assert (finding.template, finding.code, finding.severity) == ("pre_7d_explicit", "text_missing", "error")
    assert "Step 'pre_7d'" in finding.message


@pytest.mark.parametrize(
    ("written", "told"),
    [
        pytest.param(b"{", "no JSON", id="half a file"),
        pytest.param(b"\xff\xfe", "no JSON", id="no text"),
        pytest.param(b"[" * 100_000, "no JSON", id="nested without end"),
        pytest.param(b"[]", "wrong shape", id="a list"),
    ],
)
def test_a_file_that_is_no_plan(written: bytes, told: str) -> None:
    (finding,) = checking.check_plan_file(written, SHIPPED.template_keys)
    assert told in finding.message


def test_a_plan_file_with_a_byte_order_mark() -> None:
    written = json.dumps(SHIPPED.document).encode("utf-8-sig")
    assert checking.check_plan_file(written, SHIPPED.template_keys) == []


def test_what_a_text_may_not_say_is_found_with_its_place() -> None:
    words = "{{ clinic }}: call {{ phone }} at 12:45. Emergency: {{ emergency }}."
    (finding,) = checking.check_texts({("ack_book", "en"): text("ack_book", words)}, shipped_plan())
    assert (finding.template, finding.language, finding.severity) == ("ack_book", "en", "error")
    assert (finding.code, finding.position) == ("raw_time", words.index("12:45"))


def test_a_text_is_measured_with_the_longest_values_of_its_own_plan() -> None:
    words = "{{ clinic }} {{ phone }}: thank you, we got your request and will phone you. Emergency: {{ emergency }}."
    longer = replace(shipped_plan(), max_lengths={**shipped_plan().max_lengths, "clinic": 90})
    texts = {("ack_book", "en"): text("ack_book", words)}
    assert checking.check_texts(texts, shipped_plan()) == []
    assert [finding.code for finding in checking.check_texts(texts, longer)] == ["too_long"]
    assert checking.parts_at_most(words, shipped_plan()) == 1
    assert checking.parts_at_most(words, longer) == 2
    assert checking.parts_at_most("{{ doctor }}", longer) is None


def test_a_text_that_the_service_knows_nothing_of() -> None:
    (finding,) = checking.check_texts({("birthday", "en"): text("birthday", "Happy birthday")}, shipped_plan())
    assert (finding.template, finding.code, finding.severity) == ("birthday", "unknown_template", "warning")


def test_what_a_clinic_uses_with_who_approved_it(sqlite_sessions: sessionmaker[Session]) -> None:
    approved = datetime(2026, 3, 1, tzinfo=UTC)
    with sqlite_sessions.begin() as db:
        clinic = factories.clinic(db)
        content.seed_defaults(db, clinic.id, now=NOW, by="test")
        one = update(TemplateVersion).where(TemplateVersion.key == "pre_1d", TemplateVersion.language == "tr")
        db.execute(one.values(approved_by="Dr. Sample", approved_at=approved, version=3))
        used = checking.of_clinic(db, clinic.key, now=NOW)
    assert used.document == content.shipped_plan()
    assert used.texts.keys() == shipped_texts().keys()
    assert used.texts["pre_1d", "tr"].version == 3
    assert used.approvals == {("pre_1d", "tr"): ("Dr. Sample", approved)}


def test_a_clinic_without_content_uses_the_shipped(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        used = checking.of_clinic(db, factories.clinic(db).key, now=NOW)
    assert used.document == content.shipped_plan()
    assert used.template_keys == SHIPPED.template_keys


def test_a_clinic_whose_plan_is_no_longer_live(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        clinic = factories.clinic(db)
        content.seed_defaults(db, clinic.id, now=NOW, by="test")
        db.execute(update(PlanVersion).values(live=False))
        assert checking.of_clinic(db, clinic.key, now=NOW).document == {}


def test_a_clinic_that_is_not_there(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db, pytest.raises(NoSuchClinic, match="no clinic 'lake'"):
        checking.of_clinic(db, "lake", now=NOW)
