"""Every code that Twilio is known to give for a text, and whom it concerns."""

import pytest

from service.domain.sms import Blame, Refused, Unknown
from service.gateways.twilio_codes import MEANINGS, classify_failure, refused, sort_rejection

CREATE = {
    "later": "20429 21611 35125",
    "number": "21211 21265 21612 21614 21635",
    "opted out": "21610",
    "text": "21266 21602 21617 21658 35111 35114 35115 35118 14107",
    "sender": "21212 21408 21606 21661 21601 21701 21703 21704 21705",
    "account": "20003 20005 10001 90010 20404 20008 21603 21608 572005 21609 21624 90007 90014 63017 63038 60728",
    "open": "20500 20503",
}
"""Given instead of an id."""

LATER = {
    "later": "30001 30003 30020 30021 30022 30023 30025 30026 30027 30047",
    "number": "30004 30005 30006 30640",
    "text": "30007 30009 30010 30019 30036 30450 30610",
    "sender": "30018 30024 30032 30033 30034 30035",
    "account": "30002 30044",
    "open": "30008 30410",
}
"""Given after Twilio had taken the text."""

BLAMES = {
    "later": Blame.RETRY,
    "number": Blame.RECIPIENT,
    "opted out": Blame.OPTED_OUT,
    "text": Blame.MESSAGE,
    "sender": Blame.SENDER,
    "account": Blame.ACCOUNT,
    "open": Blame.MESSAGE,
}


def each(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(code, group) for group, codes in table.items() for code in codes.split()]


@pytest.mark.parametrize(("code", "group"), each(CREATE))
def test_a_refusal_concerns(code: str, group: str) -> None:
    outcome = sort_rejection(code, status=400, retry_after_seconds=3)
    if group == "open":
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Refused)
        assert (outcome.blame, outcome.code, outcome.retry_after_seconds) == (BLAMES[group], code, 3)


@pytest.mark.parametrize(("code", "group"), each(CREATE))
def test_an_error_of_the_server_leaves_it_open_whatever_the_code(code: str, group: str) -> None:
    assert isinstance(sort_rejection(code, status=500), Unknown)


@pytest.mark.parametrize(("code", "group"), each(LATER))
def test_a_failure_concerns(code: str, group: str) -> None:
    failure = classify_failure(code, "undelivered")
    assert (failure.blame, failure.code) == (BLAMES[group], code)
    assert failure.temporary == (group == "later"), "what may have arrived, or would fail again, is not sent again"


def test_nothing_is_listed_that_is_not_tested() -> None:
    assert MEANINGS.keys() == {code for code, _ in each(CREATE) + each(LATER)}


@pytest.mark.parametrize("code", MEANINGS)
def test_staff_are_told_what_happened_and_what_to_do_in_plain_sentences(code: str) -> None:
    for sentence in (MEANINGS[code].reason, MEANINGS[code].next_action):
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert sentence.endswith(".")
        assert len(sentence) > 15


@pytest.mark.parametrize(
    ("status", "blame"),
    [(400, Blame.MESSAGE), (401, Blame.ACCOUNT), (403, Blame.ACCOUNT), (404, Blame.ACCOUNT), (429, Blame.RETRY)],
)
def test_an_unlisted_code_is_judged_by_its_status_and_looked_up_by_a_person(status: int, blame: Blame) -> None:
    outcome = sort_rejection("29999", status=status)
    assert isinstance(outcome, Refused)
    assert outcome.blame == blame
    assert "29999" in outcome.reason


def test_an_unlisted_failure_is_not_tried_again() -> None:
    failure = classify_failure("39999", "failed")
    assert (failure.blame, failure.temporary) == (Blame.MESSAGE, False)
    assert "39999" in failure.next_action


def test_a_failure_without_a_code_is_not_tried_again() -> None:
    failure = classify_failure("", "undelivered")
    assert (failure.blame, failure.code, failure.temporary) == (Blame.MESSAGE, "", False)
    assert "undelivered" in failure.reason


def test_a_refusal_can_be_had_by_its_code() -> None:
    assert refused("20429", retry_after_seconds=2) == sort_rejection("20429", status=429, retry_after_seconds=2)
