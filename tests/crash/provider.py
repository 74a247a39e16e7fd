"""The provider as a process of its own, so that nothing that happens to the service happens to it, and what it took is the truth.

It answers one question a line: ``until N SECONDS`` waits for so many texts taken, ``taken`` tells of all of them.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import web

from service.assembly import utc_now
from service.gateways.simulated import AcceptedText, NetworkConfig, SimulatedNetwork
from tests.fakes.twilio_server import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    KEY_SECRET,
    KEY_SID,
    OUR_NUMBER,
    Breakage,
    Callback,
    FakeTwilio,
    Resource,
)

PROJECT = Path(__file__).parents[2]
LOOKS_EVERY = 0.002
POSTS_EVERY = 0.2
POSTMEN = 4
DOUBTFUL = tuple(each for each in Breakage if each is not Breakage.SILENCE)


@dataclass(frozen=True, slots=True)
class Taken:
    """One text that the provider took."""

    sid: str
    to: str
    body: str


@dataclass
class MoodyTwilio(FakeTwilio):
    """Breaks in another way each time, posts a callback that nobody answered once more, and finds a number's texts quickly."""

    _asked_for: str | None = None
    _ways: Iterator[Breakage] = field(default_factory=lambda: cycle(DOUBTFUL))
    _unheard: list[Callback] = field(default_factory=list)

    async def _break(self, request: web.Request) -> web.StreamResponse:
        self.breakage = next(self._ways)
        return await super()._break(request)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._asked_for = request.query.get("To")
        return await super()._list(request)

    def _resources(self) -> list[Resource]:
        asked_for, taken = self._asked_for, tuple(self.network.accepted.values())
        return [self._outgoing(each) for each in reversed(taken) if asked_for is None or each.text.to == asked_for]

    def post_callbacks(self, postmen: ThreadPoolExecutor) -> None:
        again, self._unheard = self._unheard, []
        new = self.callbacks_due()
        answers = list(postmen.map(Callback.post, [*again, *new]))[len(again) :]
        self._unheard = [callback for callback, status in zip(new, answers, strict=True) if status == 0]


class Provider:
    """The process, seen from the tests."""

    def __init__(self, faults: Mapping[str, float]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(dict(faults))],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = str(self._answer())

    def until(self, texts: int, *, patience: float) -> int:
        """Wait until it has taken so many texts, or none for ``patience`` seconds; how many it has taken."""
        return int(self._ask(f"until {texts} {patience}"))

    def taken(self) -> list[Taken]:
        return [Taken(*each) for each in self._ask("taken")]

    def settings(self) -> dict[str, str]:
        """How the service reaches it."""
        return {
            "GATEWAY": "twilio",
            "TWILIO__ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO__API_KEY_SID": KEY_SID,
            "TWILIO__API_KEY_SECRET": KEY_SECRET,
            "TWILIO__AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO__FROM_NUMBER": OUR_NUMBER,
        }

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, question: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextmanager
def providing(faults: Mapping[str, float]) -> Iterator[Provider]:
    provider = Provider(faults)
    try:
        yield provider
    finally:
        provider.close()


def main() -> None:
    """Answer until stdin ends, as it does when the tests end, however that happens."""
    server = MoodyTwilio(SimulatedNetwork(uuid4().hex, NetworkConfig(**json.loads(sys.argv[1]))), utc_now)
    closing = threading.Event()
    with server.running(), ThreadPoolExecutor(POSTMEN) as postmen:
        posting = threading.Thread(target=_post, args=(server, postmen, closing))
        posting.start()
        _say(server.url)
        for question in sys.stdin:
            match question.split():
                case ["until", texts, patience]:
                    _say(_until(server.network.accepted, int(texts), patience=float(patience)))
                case _:
                    taken = tuple(server.network.accepted.values())
                    _say([(each.sid, each.text.to, each.text.body) for each in taken])
        closing.set()
        posting.join()


def _post(server: MoodyTwilio, postmen: ThreadPoolExecutor, closing: threading.Event) -> None:
    while not closing.wait(POSTS_EVERY):
        server.post_callbacks(postmen)


def _until(accepted: Mapping[str, AcceptedText], texts: int, *, patience: float) -> int:
    closing, seen, idle = threading.Event(), len(accepted), 0.0
    while len(accepted) < texts and idle < patience:
        closing.wait(LOOKS_EVERY)
        idle = idle + LOOKS_EVERY if len(accepted) == seen else 0.0
        seen = len(accepted)
    return len(accepted)


def _say(answer: object) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
