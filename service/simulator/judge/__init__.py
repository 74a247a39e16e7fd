"""Judges a simulated world by its log alone: what each patient should have got and when, written again on purpose.

It shares no rule with the service: only so can it find the service wrong.
"""

from service.simulator.judge.verdict import Verdict, Violation
from service.simulator.judge.whole import judge

__all__ = ["Verdict", "Violation", "judge"]
