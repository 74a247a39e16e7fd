"""How the phone network behaves over the weeks: a little trouble always, and spans in which it is busy, out, or mute."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from service.gateways.simulated_network import NetworkConfig, Span
from service.simulator.dice import Dice

DAY = timedelta(days=1)
BETWEEN = {"network_down": 9, "busy": 6, "list_down": 8}
"""About so many days lie between two spans of trouble of a kind."""
LASTS = {
    "network_down": (timedelta(seconds=20), timedelta(hours=5)),
    "busy": (timedelta(seconds=10), timedelta(minutes=40)),
    "list_down": (timedelta(minutes=5), timedelta(hours=12)),
}


def forecast(dice: Dice, start: datetime, end: datetime) -> dict[str, list[Span]]:
    """The spans of each kind of trouble."""
    return {kind: list(_spans(dice, kind, start, end)) for kind in BETWEEN}


def config(dice: Dice, spans: dict[str, list[Span]], *, provider_stops: bool) -> NetworkConfig:
    """The network with that weather. ``provider_stops``: it keeps a list of opt-outs of its own."""
    usual = NetworkConfig()
    return NetworkConfig(
        seed=dice.whole(0, 2**31, "network"),
        stop_words=usual.stop_words if provider_stops else frozenset(),
        busy=0.02,
        fails_before=0.01,
        fails_after=0.01,
        undelivered=0.02,
        receipts_lost=0.05,
        receipts_doubled=0.05,
        receipts_swapped=0.05,
        bursts=spans["busy"],
        outages=spans["network_down"],
        receipt_delay=timedelta(seconds=4),
        list_lag=timedelta(seconds=45),
    )


def _spans(dice: Dice, kind: str, start: datetime, end: datetime) -> Iterator[Span]:
    n, begins = 0, start
    while True:
        begins += dice.span(DAY / 4, 2 * BETWEEN[kind] * DAY, kind, "begins", n)
        if begins >= end:
            return
        yield Span(begins, begins + dice.any_scale(*LASTS[kind], kind, "lasts", n))
        n += 1
