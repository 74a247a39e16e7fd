"""The ways in which the engine is broken: one promise each, by replacing words that stand in one place of one file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """``old`` stands in ``file`` exactly once; with ``new`` in its place the engine breaks the promise that ``name`` speaks of."""

    name: str
    file: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "no last look: what was planned is sent",
        "service/flows/desk.py",
        "        return decide(look, self._now)\n",
        "        return Send(36_000)\n",
    ),
    Mutant(
        "the claim's token is ignored",
        "service/store/messages.py",
        ".where(Message.id == message_id, SENDING, Message.claim_token == token)",
        ".where(Message.id == message_id)",
    ),
    Mutant(
        "a frozen worker sends when it wakes",
        "service/gateways/simulated.py",
        "TOO_LATE if now > message.leave_by else self._network.submit(message, now)",
        "self._network.submit(message, now)",
    ),
    Mutant(
        "walls show UTC",
        "service/domain/anchors.py",
        "            return resolve_local(day + timedelta(days=days), at, zone)\n",
        '            return resolve_local(day + timedelta(days=days), at, ZoneInfo("UTC"))\n',
    ),
    Mutant(
        "a day has 24 hours, also when the clocks change",
        "service/domain/anchors.py",
        "            return resolve_local(day + timedelta(days=days), at, zone)\n",
        "            return resolve_local(day, at, zone) + timedelta(days=days)\n",
    ),
    Mutant(
        "sent again after a time-out",
        "service/domain/lifecycle.py",
        "            return State.UNCONFIRMED\n",
        "            return State.PLANNED\n",
    ),
    Mutant(
        "STOP holds for the clinic it was said to, not for the sender",
        "service/domain/consent.py",
        "(entry.clinic_id == clinic_id or not entry.granted)",
        "entry.clinic_id == clinic_id",
    ),
    Mutant(
        "sent before a change is planned",
        "service/domain/eligibility.py",
        "    if look.marked:\n",
        "    if look.marked and look.held_reason:\n",
    ),
    Mutant(
        "changed sessions mark nobody for planning",
        "migrations/versions/0002_triggers.py",
        '    Mark("session_changed", "UPDATE", "treatment_session", "id IN (OLD.patient_id, NEW.patient_id)", SESSION),\n',
        "",
    ),
    Mutant(
        "sent when it is of no use any more",
        "service/domain/anchors.py",
        "    return None if useless is None or anchor is None else at_offset(useless.offset, anchor, case.clinic.zone)\n",
        "    return None\n",
    ),
    Mutant(
        "sent at any hour",
        "service/domain/windows.py",
        "    return end is not None and end - moment >= LEAST_USEFUL\n",
        "    return True\n",
    ),
    Mutant(
        "the hours of the clinic, not of the patient's zone",
        "service/domain/anchors.py",
        "    return None if both is None else (both, case.patient.zone or case.clinic.zone)\n",
        "    return None if both is None else (both, case.clinic.zone)\n",
    ),
    Mutant(
        "no cap",
        "service/domain/eligibility.py",
        "    return look.sent_24h >= caps.per_24h or look.sent_7d >= caps.per_7d\n",
        "    return False\n",
    ),
    Mutant(
        "several planned texts on one day",
        "service/domain/expansion.py",
        "local_day(entry.due_at, zone) not in taken:\n        return entry\n",
        "True:\n        return entry\n",
    ),
    Mutant(
        "a claim that nobody settled is sent again",
        "service/flows/recovery.py",
        'State.UNCONFIRMED, reason="worker_lost", claim_token=None, sent_at=now)\n',
        'State.PLANNED, reason="worker_lost", claim_token=None, attempt_at=now)\n',
    ),
    Mutant(
        "reminded of the next session although it is booked",
        "service/domain/conditions.py",
        "lambda now: not now.case.rebooked(_session(now))",
        "lambda now: True",
    ),
    Mutant(
        "what is late is sent all the same",
        "service/domain/expansion.py",
        '    if late and entry.step.late is Late.SKIP:\n        return entry.skip("late")\n',
        "",
    ),
    Mutant(
        "no news of a moved session",
        "service/domain/conditions.py",
        "    return last.called_off or last.start != _session(now).start\n",
        "    return False\n",
    ),
    Mutant(
        "staff hear nothing of missed aftercare",
        "service/flows/telling.py",
        "    if step is None or not step.on_missed_task:\n",
        "    if step is None or step.on_missed_task:\n",
    ),
    Mutant(
        "aftercare is left out",
        "service/domain/expansion.py",
        "    if clinic.plan_name not in step.plans or (",
        '    if step.key == "aftercare_1" or clinic.plan_name not in step.plans or (',
    ),
    Mutant(
        "nobody hears what patients say",
        "service/flows/understanding.py",
        "def _other(heard: Heard) -> None:\n    _to_a_person(heard)\n",
        "def _other(heard: Heard) -> None:\n",
    ),
    Mutant(
        "an answer is given twice",
        "service/flows/replying.py",
        'identity=f"reply:{inbound.id}:{template}"',
        'identity=f"reply:{inbound.id}:{template}:{now.isoformat()}"',
    ),
    Mutant(
        "STOP is not heeded",
        "service/domain/consent.py",
        "    if any(entry is not None and not entry.granted for entry in (of_clinic, of_sender)):\n        return Standing.REVOKED\n",
        "",
    ),
    Mutant(
        "a pause holds nothing",
        "service/domain/eligibility.py",
        "    if look.paused is not None:\n        return Defer(now + HELD_FOR, look.paused)\n    if look.session",
        "    if look.session",
    ),
    Mutant(
        "reminded of what was told a moment ago",
        "service/domain/conditions.py",
        "    return not any(told.start == start and now.at - told.at < JUST_TOLD for told in _announcements(now))",
        "    return True",
    ),
    Mutant(
        "headache days asked for again and again",
        "service/domain/conditions.py",
        "return now.last_count_day is None or now.day - now.last_count_day >= RECENT_COUNT",
        "return True",
    ),
    Mutant(
        "a text that was held up shares the day of another",
        "service/domain/eligibility.py",
        "    if look.day_taken and look.step is not None",
        "    if look.day_taken and look.step is None",
    ),
    Mutant(
        "STOP holds for every second patient, not for the number",
        "service/flows/casework.py",
        "standing(ledger, clinic_id=row.clinic_id",
        "standing([e for e in ledger if e.granted or row.id % 2], clinic_id=row.clinic_id",
    ),
)
