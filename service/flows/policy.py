"""What this installation allows and can do, beyond the clinics' own choices: wired from the settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SendingPolicy:
    """``allowed_recipients`` None: anybody; ``allowed_countries`` None: the clinic's own (ISO 3166)."""

    answers_understood: bool = True
    allowed_recipients: frozenset[str] | None = None
    allowed_countries: frozenset[str] | None = None
    worker: str = "worker"

    def forbids(self, number: str, *, country: str, home: str) -> str | None:
        """Why nothing may be sent to ``number``, which belongs to ``country``, by a clinic in ``home``; or None."""
        if self.allowed_recipients is not None and number not in self.allowed_recipients:
            return "not_an_allowed_recipient"
        if country not in (self.allowed_countries or {home}):
            return "country_not_allowed"
        return None
