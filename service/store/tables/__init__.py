"""Every table, by name. Its meaning and that of every column stands in the schema itself."""

from service.store.tables.clinics import Clinic, Holiday, PlanVersion, Sender, TemplateVersion
from service.store.tables.messages import Inbound, JournalEntry, Message, RawReceipt, SendAttempt, Task
from service.store.tables.people import Consent, Patient, PhoneNumber, ProviderCopy, TreatmentSession
from service.store.tables.running import Heartbeat, Installation
from service.store.tables.watching import Alarm, NightlyProof

__all__ = [
    "Alarm",
    "Clinic",
    "Consent",
    "Heartbeat",
    "Holiday",
    "Inbound",
    "Installation",
    "JournalEntry",
    "Message",
    "NightlyProof",
    "Patient",
    "PhoneNumber",
    "PlanVersion",
    "ProviderCopy",
    "RawReceipt",
    "SendAttempt",
    "Sender",
    "Task",
    "TemplateVersion",
    "TreatmentSession",
]
