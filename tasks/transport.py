"""Messages over Redis, but that a worker whose acknowledgement got no reply goes on taking messages.

kombu (5.7) notes that a message is done with when Redis has said so. If a command runs out of time while the connection
that messages come by stays whole, as when Redis is stopped for some seconds, the message counts as being worked on for
ever. A worker that takes one at a time never takes another, and all the while it has a pulse.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.connection import Connection
from kombu.transport import redis, virtual


class _QoS(redis.QoS):
    def ack(self, delivery_tag: str) -> None:
        with self._done(delivery_tag):
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        with self._done(delivery_tag):
            super().reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]

    @contextmanager
    def _done(self, delivery_tag: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            # Redis may keep it until the visibility timeout; then it comes once more, and finds nothing to do.
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise


class _Channel(redis.Channel):
    QoS = _QoS


class _Transport(redis.Transport):
    Channel = _Channel


class PatientConnection(Connection):
    """Looks every second or two for a Redis that is away: left alone, Celery's workers would come to wait for 30."""

    def get_transport_cls(self) -> Any:
        found = super().get_transport_cls()  # type: ignore[no-untyped-call]
        return _Transport if found is redis.Transport else found

    def ensure_connection(self, *arguments: Any, **options: Any) -> Any:
        patience = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2}
        return super().ensure_connection(*arguments, **options | patience)  # type: ignore[no-untyped-call]
