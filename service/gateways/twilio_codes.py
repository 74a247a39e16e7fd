"""Twilio's error codes in our words: whom one concerns, what to tell staff, what to do next. The one place that knows them.

Meanings: Twilio's error catalogue, https://www.twilio.com/docs/api/errors. Twilio adds codes and changes when it gives them, so
a code that is not here is an ordinary thing: the text is not tried again by itself, and a person is asked to look.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.sms import Blame, Failure, Refused, Unknown

TOO_MANY_REQUESTS = "20429"


@dataclass(frozen=True, slots=True)
class Meaning:
    blame: Blame
    reason: str
    next_action: str


def _each(blame: Blame, next_action: str, reasons: Mapping[str, str]) -> dict[str, Meaning]:
    return {code: Meaning(blame, reason, next_action) for code, reason in reasons.items()}


_WAIT = "Nothing: it is tried again by itself."
_NEW_NUMBER = "Ask the patient for a mobile number that can receive texts."
_CALL = "Call the patient instead; the same text is not sent again."
_FIX_TEXT = "Correct the text or the plan; this one is not sent again."
_MAY_HAVE_ARRIVED = "It may have arrived: ask the patient before anything is sent again."
_CHECK_SENDER = "Check the sender in the Twilio console, then resume it."
_CHECK_ACCOUNT = "Check the account in the Twilio console, then resume sending."
_CHECK_SETTINGS = "Correct the Twilio settings (aftercare doctor tells which), then resume sending."

MEANINGS: dict[str, Meaning] = {
    **_each(
        Blame.RETRY,
        _WAIT,
        {
            TOO_MANY_REQUESTS: "Twilio was asked too often at once and did not take the text.",
            "21611": "More than ten hours of texts already wait on our number.",
            "30001": "Too many texts already wait on our sender.",
            "30003": "The phone could not be reached: switched off, or without network.",
            "30020": "Twilio could not schedule the text, for a reason of its own.",
            "30021": "Twilio's messaging service failed, for a reason of its own.",
            "30022": "Texts went out faster than the carrier allows our registration, or too many to one phone.",
            "30023": "The carrier's daily limit for our brand is used up; it starts anew at midnight Pacific time.",
            "30025": "Half of the carrier's daily limit for our brand is used up.",
            "30026": "70 % of the carrier's daily limit for our brand is used up.",
            "30027": "The carrier's daily limit for our brand is used up; it starts anew at midnight Pacific time.",
            "30047": "Twilio's compliance check could not move the text to a lawful hour; it was not sent.",
            "35125": "Too many texts are scheduled in our Twilio account.",
        },
    ),
    **_each(
        Blame.RECIPIENT,
        _NEW_NUMBER,
        {
            "21211": "The number is not a possible phone number.",
            "21265": "The number is a short code, not a phone.",
            "21612": "The number cannot be reached by text from our sender.",
            "21614": "The number is not a mobile number.",
            "21635": "The number is a landline.",
            "30004": "The number or its carrier blocks our texts.",
            "30005": "The number is not in use.",
            "30006": "The number is a landline, or its carrier cannot be reached.",
        },
    ),
    **_each(
        Blame.RECIPIENT,
        "Text this number no more; speak with whoever is responsible for compliance.",
        {"30640": "The number belongs to a person known to sue over unwanted texts."},
    ),
    **_each(
        Blame.OPTED_OUT,
        "Text this number no more, until the patient texts START.",
        {"21610": "The patient has opted out, or Twilio knows that the number has changed hands."},
    ),
    **_each(
        Blame.MESSAGE,
        _FIX_TEXT,
        {
            "21266": "The number to text is our own number.",
            "21602": "The text is empty.",
            "21617": "The text is longer than 1,600 characters.",
            "21658": "The text is longer than 1,600 characters.",
            "30010": "The text costs more than the limit set for it.",
            "30019": "The text is too large for the carrier.",
            "35111": "The time for which the text was scheduled is not valid.",
            "35114": "The text was scheduled for a time too near or too far.",
            "35115": "The text was scheduled for a time too near or too far.",
            "35118": "Scheduling a text needs a messaging service.",
        },
    ),
    **_each(
        Blame.MESSAGE,
        _CALL,
        {
            "14107": "More than 15 answers went to this number within 30 seconds: perhaps two machines talk to each other.",
            "30007": "Twilio or the carrier filtered the text as unwanted or against its policy.",
            "30036": "The text waited longer than it was useful and was not sent.",
            "30450": "Twilio took the destination for one of fraud with text charges and did not send.",
            "30610": "Twilio's compliance check does not text the number at this hour.",
        },
    ),
    **_each(
        Blame.MESSAGE,
        "Read the patient's latest text with care and ask for what is missing.",
        {"30009": "A part of a long text from the patient never arrived."},
    ),
    **_each(
        Blame.MESSAGE,
        _MAY_HAVE_ARRIVED,
        {
            "20500": "Twilio failed, for a reason of its own.",
            "20503": "Twilio was not available.",
            "30008": "The carrier failed without a reason.",
            "30410": "The carrier did not answer in time.",
        },
    ),
    **_each(
        Blame.SENDER,
        _CHECK_SENDER,
        {
            "21212": "Our number is not a valid sender.",
            "21601": "Our number cannot send texts.",
            "21606": "Our number is not ours at Twilio, or cannot send texts.",
            "21661": "Our number cannot send texts.",
            "21701": "The messaging service does not exist.",
            "21703": "The messaging service has no sender that fits.",
            "21704": "The messaging service has no sender.",
            "21705": "The messaging service is not valid.",
            "30018": "The country wants senders to be registered, and ours is not.",
            "30024": "Our sender is not set up at the patient's carrier.",
            "30032": "Our toll-free number is not verified.",
            "30033": "The campaign of our sender is suspended.",
            "30034": "Our number is not registered with a campaign.",
            "30035": "The registration of our number is still under way.",
        },
    ),
    **_each(
        Blame.SENDER,
        "Allow the country under Geo permissions in the Twilio console, then resume the sender.",
        {"21408": "Our Twilio account may not text this country."},
    ),
    **_each(
        Blame.ACCOUNT,
        _CHECK_ACCOUNT,
        {
            "10001": "Our Twilio account is not active.",
            "20003": "Twilio does not accept our credentials.",
            "20005": "Our Twilio account is not active.",
            "21608": "A trial account, or one without an approved profile, may text verified numbers only.",
            "30002": "Our Twilio account was suspended while the text waited.",
            "30044": "The text is longer than a trial account allows.",
            "572005": "A trial account, or one without an approved profile, may text verified numbers only.",
            "60728": "Our Twilio account has reached its limit of texts for this hour.",
            "63017": "Our Twilio account sends more texts a second than Twilio allows.",
            "63038": "Our Twilio account has reached its limit of texts for today.",
            "90010": "Our Twilio account is not active.",
        },
    ),
    **_each(
        Blame.ACCOUNT,
        _CHECK_SETTINGS,
        {
            "20008": "Twilio's test credentials cannot do this.",
            "20404": "Twilio does not know the account or the address we ask.",
            "21603": "The text names neither a number nor a messaging service as its sender.",
            "21609": "Twilio does not accept the address for its receipts (PUBLIC_BASE_URL).",
            "21624": "Twilio does not accept the time for which the text is useful.",
            "90007": "Twilio does not accept the time for which the text is useful.",
            "90014": "Twilio does not accept the time for which the text is useful.",
        },
    ),
}

_MAY_HAVE_BEEN_SENT = frozenset({"20500", "20503", "30008", "30410"})
_ABOUT_THE_ACCOUNT = frozenset({401, 403, 404})


def sort_rejection(code: str, *, status: int, retry_after_seconds: float | None = None) -> Refused | Unknown:
    """What an error that Twilio itself gave, as HTTP ``status`` and its own code, says about a text handed over."""
    if status >= 500 or code in _MAY_HAVE_BEEN_SENT:
        return Unknown(f"Twilio failed (HTTP {status}, code {code}).")
    meaning = MEANINGS.get(code) or _unlisted(code, status=status)
    return Refused(meaning.blame, code, meaning.reason, meaning.next_action, retry_after_seconds)


def refused(code: str, *, retry_after_seconds: float | None = None) -> Refused:
    """The refusal that a listed code stands for."""
    meaning = MEANINGS[code]
    return Refused(meaning.blame, code, meaning.reason, meaning.next_action, retry_after_seconds)


def classify_failure(code: str, word: str) -> Failure:
    """Why a text that Twilio had taken did not arrive. ``word`` is its status; ``code`` may be empty.

    Only what concerns nobody in particular is temporary: everything else would end the same way or may have arrived.
    """
    meaning = MEANINGS.get(code) or (_unlisted(code, status=400) if code else _without_code(word))
    return Failure(meaning.blame, code, meaning.reason, meaning.next_action, meaning.blame is Blame.RETRY)


def _unlisted(code: str, *, status: int) -> Meaning:
    look_up = f"Look up https://www.twilio.com/docs/errors/{code}"
    if status == 429:
        return Meaning(Blame.RETRY, f"Twilio did not take the text now (code {code}).", _WAIT)
    if status in _ABOUT_THE_ACCOUNT:
        return Meaning(Blame.ACCOUNT, f"Twilio turns us away (code {code}).", f"{look_up}, then resume sending.")
    return Meaning(Blame.MESSAGE, f"Twilio gave a code we do not know ({code}).", f"{look_up}. {_CALL}")


def _without_code(word: str) -> Meaning:
    return Meaning(Blame.MESSAGE, f"Twilio reported “{word}” without a reason.", _CALL)
