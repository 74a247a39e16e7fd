"""Every table, by name. Its meaning and that of every column stands in the schema itself."""

from service.store.tables.clinics import Clinic, Holiday, PlanVersion, Sender, TemplateVersion
from service.store.tables.messages import Inbound, JournalEntry, Message, RawReceipt, SendAttempt, Task
from service.store.tables.people import Consent, Patient, PhoneNumber, TreatmentSession
from service.store.tables.running import Heartbeat, Installation

__all__ = [
    "Clinic",
    "Consent",
    "Heartbeat",
    "Holiday",
    "Inbound",
    "Installation",
    "JournalEntry",
    "Message",
    "Patient",
    "PhoneNumber",
    "PlanVersion",
    "RawReceipt",
    "SendAttempt",
    "Sender",
    "Task",
    "TemplateVersion",
    "TreatmentSession",
]
