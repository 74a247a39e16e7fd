"""What a reason may repeat of a file: dates, and nothing else. Where columns are mixed up, a number or a name stands in any of them."""

import re

_DATE = re.compile(
    r"(?:\d{1,2}([./ -])\d{1,2}\1(?:\d{4}|\d{2})|\d{4}([./-])\d{1,2}\2\d{1,2})"
    r"(?:(?:\s+|,\s*|T)\d{1,2}[:.]\d{2}(?:[:.]\d{2}(?:[.,]\d{1,9})?)?(?:\s?[ap]\.?m\.?)?(?:\s?(?:Z|[+-]\d{2}:?\d{2}))?)?",
    re.IGNORECASE | re.ASCII,
)


def shown(written: str) -> str:
    """The value in quotes if it looks like a date; else only that there is one."""
    return repr(written) if _DATE.fullmatch(written) else "What stands here"
