"""Lanes: every sender sends in a thread of its own, so that one that has to wait keeps nobody else waiting."""

from concurrent.futures import Future, ThreadPoolExecutor

from service.flows.dispatcher import Sending, dispatch_sender, expire, senders_due

THREADS = 32
"""Lanes under way at once; each holds a connection to the database only while it claims and settles."""


class Lanes:
    """A tick that starts a lane for each sender with something to do, and leaves alone those that are under way.

    Not for several threads at once; :meth:`close` may come from any.
    """

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="lane")
        self._under_way: dict[int, Future[int]] = {}

    def __call__(self) -> int:
        """How many rows were looked at in lanes that have ended since the last time. Raises what broke one of them."""
        looked = expire(self._sending)
        due = senders_due(self._sending)
        ended = {sender_id: lane for sender_id, lane in self._under_way.items() if lane.done()}
        for sender_id in ended:
            del self._under_way[sender_id]
        for sender_id in due:
            if sender_id not in self._under_way and self._sending.go_on():
                self._under_way[sender_id] = self._pool.submit(self._run, sender_id)
        return looked + sum(lane.result() for lane in ended.values())

    def _run(self, sender_id: int) -> int:
        """Until there is nothing more that the sender may send now."""
        looked = 0
        while rows := dispatch_sender(self._sending, sender_id):
            looked += rows
        return looked

    def close(self) -> None:
        """Wait for what is under way; nothing more is begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)
