"""The shipped plan and texts reach every clinic once, live and approved by nobody."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.plan_file import read_plan
from service.store import content
from service.store.tables import PlanVersion, TemplateVersion
from tests.store import factories
from tests.store.factories import NOW


def test_the_shipped_plan_can_be_read() -> None:
    plan = read_plan(content.shipped_plan())
    texts = {template["key"] for template in content.shipped_templates()["templates"]}
    assert {step.template for step in plan.steps if step.template} <= texts


def test_every_shipped_text_is_there_in_every_language() -> None:
    templates = content.shipped_templates()["templates"]
    assert {frozenset(template["text"]) for template in templates} == {frozenset({"en", "es", "tr"})}
    assert len({template["key"] for template in templates}) == len(templates)


def test_a_clinic_starts_with_the_shipped_plan_and_texts(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic, another = factories.clinic(db).id, factories.clinic(db).id
        assert content.live_plan(db, clinic) is None
        assert content.live_templates(db, clinic) == {}
        assert content.seed_defaults(db, clinic, now=NOW, by="kim@example.org")
        plan, texts = content.live_plan(db, clinic), content.live_templates(db, clinic)
        assert plan is not None
        assert (plan.version, plan.document, plan.created_by) == (1, content.shipped_plan(), "kim@example.org")
        shipped = content.shipped_templates()["templates"]
        assert {at: version.text for at, version in texts.items()} == {
            (template["key"], language): text for template in shipped for language, text in template["text"].items()
        }
        assert {(v.version, v.created_at, v.created_by, v.approved_by, v.approved_at) for v in texts.values()} == {
            (1, NOW, "kim@example.org", None, None)
        }
        assert content.live_plan(db, another) is None


def test_content_that_is_there_stays(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db).id
        assert content.ensure_seeded(db, clinic, now=NOW)
        assert not content.ensure_seeded(db, clinic, now=NOW)
        assert not content.seed_defaults(db, clinic, now=NOW, by="kim@example.org")
        plan = content.live_plan(db, clinic)
        assert plan is not None
        assert plan.created_by == "shipped"


def test_only_what_is_live_counts(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db).id
        content.ensure_seeded(db, clinic, now=NOW)
        old = content.live_templates(db, clinic)[("help", "en")]
        old.state = "retired"
        db.flush()
        for version, state in ((2, "live"), (3, "draft")):
            text = TemplateVersion(
                clinic_id=clinic, key="help", language="en", version=version, text=f"{version}", state=state,
                created_at=NOW, created_by="kim@example.org",
            )  # fmt: skip
            db.add(text)
        assert content.live_templates(db, clinic)[("help", "en")].version == 2
        plan = content.live_plan(db, clinic)
        assert plan is not None
        plan.live = False
        assert content.live_plan(db, clinic) is None


def test_two_workers_that_find_a_new_clinic_seed_it_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic = factories.clinic(db).id

    def seed(_: int) -> bool:
        with sessions.begin() as db:
            return content.ensure_seeded(db, clinic, now=NOW)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(seed, range(4))) == [False, False, False, True]
    with sessions() as db:
        assert db.scalar(select(func.count()).select_from(PlanVersion)) == 1
