"""What this installation allows and can do, beyond the clinics' own choices: wired from the settings."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto

SEGMENT_PRICE = Decimal("0.012")
"""What one part of a text is taken to cost where nobody said otherwise: about what a text within the US costs, in its dollars."""


class Approval(Enum):
    """Whether a text must have been approved before it leaves."""

    WAIVED = auto()
    """It leaves for nobody's phone."""
    REQUIRED = auto()


@dataclass(frozen=True, slots=True)
class SendingPolicy:
    """``allowed_recipients`` None: anybody; ``allowed_countries`` None: the clinic's own (ISO 3166).

    ``daily_spend_limit`` None: no limit. It and ``segment_price`` are in the currency of the provider's bill.
    """

    answers_understood: bool = True
    allowed_recipients: frozenset[str] | None = None
    allowed_countries: frozenset[str] | None = None
    approval: Approval = Approval.WAIVED
    daily_spend_limit: Decimal | None = None
    segment_price: Decimal = SEGMENT_PRICE
    worker: str = "worker"

    def forbids(self, number: str, *, country: str, home: str) -> str | None:
        """Why nothing may be sent to ``number``, which belongs to ``country``, by a clinic in ``home``; or None."""
        if self.allowed_recipients is not None and number not in self.allowed_recipients:
            return "not_an_allowed_recipient"
        if country not in (self.allowed_countries or {home}):
            return "country_not_allowed"
        return None
