"""What a reason repeats of a file, and what it never does, whichever column it stands in."""

import pytest

from service.sources.csv_shown import shown


@pytest.mark.parametrize(
    "written",
    [
        "2026-13-45",
        "2026-12-07 15:00",
        "2026-12-07T25:00:00.123456Z",
        "03/04/2026",
        "3.4.26 9.30",
        "07/12/2026, 03:00:10 p.m.",
        "2026/12/07 15:00 +0100",
    ],
)
def test_what_looks_like_a_date_is_repeated(written: str) -> None:
    assert shown(written) == f"'{written}'"


@pytest.mark.parametrize(
    "written",
    [
        "Robin",
        "Robin Sample 2",
        "+13122000001",
        "312-200-0001",
        "(312) 200-0001",
        "312.200.0001",
        "3122000001",
        "200-0001",
        "07700 900123",
        "06 12 34 56 78",
        "06.12.34.56.78",
        "06 12 34 5678",
        "20-12-2000-01",
        "2026-12-07 15:00 Robin",
        "٢٠٢٦-١٢-٠٧",
    ],
)
def test_what_may_be_a_name_or_a_number_is_not(written: str) -> None:
    assert shown(written) == "What stands here"
