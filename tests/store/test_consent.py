"""The ledger gives back what was written, by number and in order."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.domain.consent import ConsentEntry, Standing, standing
from service.store import consent
from service.store.tables import Consent
from tests.store import factories
from tests.store.factories import NOW

NUMBER, ANOTHER = "+12025550101", "+12025550102"


def test_lines_come_back_by_number_oldest_first(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        first, second = factories.clinic(db).id, factories.clinic(db).id

        def add(
            clinic_id: int, days_ago: int, *, granted: bool, number: str = NUMBER, method: str = "text"
        ) -> ConsentEntry:
            at = NOW - timedelta(days=days_ago)
            consent.append(db, clinic_id=clinic_id, number=number, sender_id=1, granted=granted, at=at, method=method)
            return ConsentEntry(clinic_id, 1, granted, at, by_text=method == "text")

        late = add(first, 1, granted=False)
        early = add(second, 3, granted=True, method="import")
        as_late = add(first, 1, granted=True)
        other = add(first, 2, granted=True, number=ANOTHER)
        found = consent.entries_for(db, [NUMBER, ANOTHER, "+12025550103"])
        assert found == {NUMBER: [early, late, as_late], ANOTHER: [other], "+12025550103": []}
        assert consent.entries_for(db, set()) == {}
        assert standing(found[NUMBER], clinic_id=first, sender_id=1, now=NOW) is Standing.GRANTED


def test_a_line_keeps_its_evidence(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as db:
        clinic_id = factories.clinic(db).id
        whom = {"clinic_id": clinic_id, "number": NUMBER}
        consent.append(
            db,
            clinic_id=clinic_id,
            number=NUMBER,
            sender_id=None,
            granted=True,
            at=NOW,
            method="import",
            wording_version="2026-01",
            evidence="sessions.csv",
        )
        line = db.scalars(select(Consent)).one()
        assert {name: getattr(line, name) for name in whom} == whom
        assert (line.sender_id, line.kind, line.at, line.method) == (None, "granted", NOW, "import")
        assert (line.wording_version, line.evidence) == ("2026-01", "sessions.csv")
