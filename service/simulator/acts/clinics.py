"""What clinics decide: their facts, their plan and texts, and pauses; each noted whole, as it is from then on."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from service.flows import clinics, patient_pauses, staffing
from service.flows.holding import release
from service.simulator.acts.hand import Hand
from service.simulator.log import stamp
from service.simulator.people import Line, Person, Place
from service.store import consent, content, running, tables

DIRECTOR = "the clinic's director"
Texts = Mapping[str, Mapping[str, str]]
"""Body by key and language."""


class Offices:
    """Decisions of clinics and of whoever runs the service."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    def open(self, place: Place) -> None:
        """A clinic begins, with the shipped plan and texts, all of them approved."""
        with self._hand.sessions.begin() as db:
            self._add(db, place)
        self._hand.note("clinic", **place.document())
        self._hand.note("plan", clinic=place.key, document=content.shipped_plan())
        texts = {each["key"]: each["text"] for each in content.shipped_templates()["templates"]}
        self._hand.note("texts", clinic=place.key, texts=texts)

    def _add(self, db: Session, place: Place) -> None:
        given = {
            "name": place.name,
            "sms_name": place.sms_name,
            "time_zone": place.zone,
            "country": place.country,
            "phone": place.phone,
            "emergency": place.emergency,
            "after_hours": place.after_hours,
            "crisis_line": place.crisis_line or "",
            "languages": ",".join(place.languages),
            "hours": place.hours,
            "interval_weeks": place.interval_weeks,
            "plan": place.plan,
            "live_from": place.live_from.isoformat(),
        }
        now = self._hand.clock.shown()
        clinics.add_clinic(db, place.key, given=given, holidays=None, by=DIRECTOR, now=now)
        place.id = db.scalars(select(tables.Clinic.id).where(tables.Clinic.key == place.key)).one()
        _give_line(db, place.line)
        db.execute(update(tables.Clinic).where(tables.Clinic.id == place.id).values(sender_id=place.line.id))
        texts = update(tables.TemplateVersion).where(tables.TemplateVersion.clinic_id == place.id)
        db.execute(texts.values(approved_by=DIRECTOR, approved_at=now))

    def change(self, place: Place) -> None:
        """Hours, plan and interval as they are now, by SQL."""
        values = {
            "window_opens": place.opens,
            "window_closes": place.closes,
            "plan": place.plan,
            "interval_weeks": place.interval_weeks,
        }
        with self._hand.sessions.begin() as db:
            db.execute(update(tables.Clinic).where(tables.Clinic.id == place.id).values(values))
        self._hand.note("clinic", **place.document())

    def apply_plan(self, place: Place, document: Mapping[str, Any]) -> None:
        """From now on the clinic follows this plan file."""
        own = tables.PlanVersion.clinic_id == place.id
        with self._hand.sessions.begin() as db:
            last = db.scalar(select(func.max(tables.PlanVersion.version)).where(own)) or 0
            db.execute(update(tables.PlanVersion).where(own, tables.PlanVersion.live).values(live=False))
            db.execute(
                insert(tables.PlanVersion).values(
                    clinic_id=place.id,
                    version=last + 1,
                    document=dict(document),
                    live=True,
                    created_at=self._hand.clock.now,
                    created_by=DIRECTOR,
                )
            )
        self._hand.note("plan", clinic=place.key, document=document)

    def plan_of(self, place: Place) -> dict[str, Any]:
        """The plan file that the clinic follows, to be changed."""
        with self._hand.sessions() as db:
            live = content.live_plan(db, place.id)
        return deepcopy(live.document if live else content.shipped_plan())

    def texts_of(self, place: Place) -> dict[str, dict[str, str]]:
        """The approved texts of the clinic."""
        found: dict[str, dict[str, str]] = {}
        with self._hand.sessions() as db:
            live = content.live_templates(db, place.id)
        for (key, language), row in sorted(live.items()):
            found.setdefault(key, {})[language] = row.text
        return found

    def approve(self, place: Place, key: str, bodies: Mapping[str, str]) -> None:
        """New words for one text, approved and live at once."""
        with self._hand.sessions.begin() as db:
            for language, body in bodies.items():
                _approve(db, place, key, language=language, body=body, now=self._hand.clock.now)
        self._hand.note("texts", clinic=place.key, texts=self.texts_of(place))

    def say_consent(self, place: Place, number: str, *, granted: bool) -> None:
        """Staff write down what a patient told them, straight into the ledger."""
        with self._hand.sessions.begin() as db:
            at = self._hand.clock.now
            consent.append(
                db, clinic_id=place.id, number=number, sender_id=None, granted=granted, at=at, method="staff"
            )
        what = "granted" if granted else "revoked"
        self._hand.note("consent", number=number, clinic=place.key, what=what, method="staff")

    def pause_clinic(self, place: Place, reason: str) -> None:
        self._set_pause(tables.Clinic, place.id, reason)
        self._hand.note("pause", what="clinic", who=place.key, reason=reason, by="sql")

    def resume_clinic(self, place: Place) -> None:
        self._set_pause(tables.Clinic, place.id, None)
        self._hand.note("resume", what="clinic", who=place.key, reason=None, by="sql")

    def pause_line(self, line: Line, reason: str) -> None:
        self._set_pause(tables.Sender, line.id, reason)
        self._hand.note("pause", what="sender", who=line.number, reason=reason, by="sql")

    def resume_line(self, line: Line) -> None:
        with self._hand.sessions.begin() as db:
            running.resume_sender(db, line.id)
            release(db, "sender_paused", now=self._hand.clock.shown(), sender_id=line.id)
        self._hand.note("resume", what="sender", who=line.number, reason=None, by="staff")

    def _set_pause(self, table: type[tables.Clinic | tables.Sender], key: int, reason: str | None) -> None:
        since = self._hand.clock.now if reason else None
        with self._hand.sessions.begin() as db:
            db.execute(update(table).where(table.id == key).values(paused_at=since, pause_reason=reason))

    def pause_all(self, reason: str) -> None:
        with self._hand.sessions.begin() as db:
            staffing.pause(db, reason=reason, by=DIRECTOR, now=self._hand.clock.shown())
        self._hand.note("pause", what="all", who=None, reason=reason, by="staff")

    def resume_all(self) -> None:
        with self._hand.sessions.begin() as db:
            staffing.resume(db, by=DIRECTOR, now=self._hand.clock.shown())
        self._hand.note("resume", what="all", who=None, reason=None, by="staff")

    def pause_patient(self, person: Person, *, lasts: timedelta, reason: str) -> None:
        now = self._hand.clock.shown()
        with self._hand.sessions.begin() as db:
            patient_pauses.pause_patient(db, person.id, until=stamp(now + lasts), reason=reason, by=DIRECTOR, now=now)
        until = stamp(now + lasts)
        self._hand.note("pause", what="patient", who=person.key, reason=reason, until=until, by="staff")

    def resume_patient(self, person: Person) -> None:
        with self._hand.sessions.begin() as db:
            patient_pauses.resume_patient(db, person.id, by=DIRECTOR, now=self._hand.clock.shown())
        self._hand.note("resume", what="patient", who=person.key, reason=None, by="staff")


def _give_line(db: Session, line: Line) -> None:
    """The first sender is the row that the schema comes with."""
    if line.id:
        return
    values = {"number": line.number, "segments_per_second": line.segments_per_second}
    if db.get_one(tables.Sender, running.ONE).number is None:
        db.execute(update(tables.Sender).where(tables.Sender.id == running.ONE).values(values))
        line.id = running.ONE
    else:
        added = insert(tables.Sender).values(key=line.key, **values).returning(tables.Sender.id)
        line.id = db.scalars(added).one()


def _approve(db: Session, place: Place, key: str, *, language: str, body: str, now: datetime) -> None:
    version = tables.TemplateVersion
    own = (version.clinic_id == place.id, version.key == key, version.language == language)
    last = db.scalar(select(func.max(version.version)).where(*own)) or 0
    db.execute(update(version).where(*own, version.state == "live").values(state="retired"))
    db.execute(
        insert(version).values(
            clinic_id=place.id,
            key=key,
            language=language,
            version=last + 1,
            text=body,
            state="live",
            approved_by=DIRECTOR,
            approved_at=now,
            created_at=now,
            created_by=DIRECTOR,
        )
    )
