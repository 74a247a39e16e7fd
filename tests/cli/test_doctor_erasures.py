"""What ``aftercare doctor`` says of erased people: provoked once each."""

from sqlalchemy.orm import Session, sessionmaker

from service.cli.doctor.erasures import MANY, look_at_erasures
from service.cli.doctor.finding import Check
from service.store.seals import seal_with, sealer_of
from service.store.tables import ProviderCopy
from tests.store import factories
from tests.store.factories import NOW


def looked(sessions: sessionmaker[Session]) -> dict[str, Check]:
    with sessions() as db:
        return {check.check: check for check in look_at_erasures(db)}


def test_all_is_well_where_nobody_was_erased(sqlite_sessions: sessionmaker[Session]) -> None:
    assert [(check.ok, check.fix) for check in looked(sqlite_sessions).values()] == [(True, "")] * 2


def test_another_key_than_the_one_that_sealed(sqlite_sessions: sessionmaker[Session]) -> None:
    seal_with(sqlite_sessions, "old key")
    with sqlite_sessions.begin() as db:
        sealer_of(db)
    assert looked(sqlite_sessions)["seals"].ok
    seal_with(sqlite_sessions, "new key")
    found = looked(sqlite_sessions)["seals"]
    assert (found.ok, "key" in found.fix) == (False, True)


def test_a_copy_that_does_not_go(sqlite_sessions: sessionmaker[Session]) -> None:
    with sqlite_sessions.begin() as db:
        copy = {"clinic_id": factories.clinic(db).id, "wanted_at": NOW, "next_at": NOW, "last_error": "HTTP 403"}
        db.add(ProviderCopy(provider_sid="SM1", attempts=MANY - 1, **copy))
    assert looked(sqlite_sessions)["provider copies"].ok
    with sqlite_sessions.begin() as db:
        db.add(ProviderCopy(provider_sid="SM2", attempts=MANY, **copy))
    found = looked(sqlite_sessions)["provider copies"]
    assert (found.ok, "1 were" in found.detail, "HTTP 403" in found.detail) == (False, True, True)
