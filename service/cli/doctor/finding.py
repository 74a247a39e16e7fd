"""What ``aftercare doctor`` says of each thing that it looks at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``fix`` is empty where all is well."""

    check: str
    ok: bool
    detail: str
    fix: str = ""


def judged(check: str, faults: list[str], *, well: str, fix: str = "") -> Check:
    return Check(check, ok=not faults, detail="; ".join(faults) or well, fix=fix if faults else "")
