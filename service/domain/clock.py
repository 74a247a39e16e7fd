"""The one type through which anything learns what time it is."""

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime]
"""Returns the present moment, aware and in UTC. Loops hold one; functions take ``now`` instead."""
