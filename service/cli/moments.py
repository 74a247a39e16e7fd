"""Moments as they are typed at the command line."""

from datetime import UTC, datetime

import typer


def moment(text: str, option: str) -> datetime:
    """ISO 8601; in UTC unless it says otherwise. What is no moment is wrong usage of ``option``."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no moment; write it like 2026-03-01T14:30:00Z", param_hint=option
        ) from None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
