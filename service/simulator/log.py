"""The world's log: what was true and what the network did, in order of happening, and at the end what the service says.

All that the judge reads. It holds the world's own keys and never an id of the database, a token or a provider's id, so
that the same seed brings the same log byte for byte.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Log(list[Entry]):
    """Entries as plain dictionaries, oldest first; ``kind`` says of what, ``at`` when."""

    def note(self, kind: str, at: datetime, **facts: Any) -> Entry:
        """Add an entry, and give it back: what becomes known of it later may still be written in."""
        entry = {"kind": kind, "at": stamp(at), **facts}
        self.append(entry)
        return entry

    def lines(self) -> Iterator[str]:
        """The transcript: one JSON object a line."""
        for entry in self:
            yield written(entry)

    def write(self, path: Path) -> None:
        """The transcript as a file."""
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in self.lines())


def written(entry: Mapping[str, Any]) -> str:
    """One entry as one line of JSON."""
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def stamp(moment: datetime) -> str:
    """A moment as it stands in the log: UTC, with microseconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def stamped(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)
