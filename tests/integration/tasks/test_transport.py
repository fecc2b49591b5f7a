"""What a worker does with messages when Redis does not answer, on a real Valkey."""

from collections.abc import Callable
from contextlib import suppress

import pytest
import redis
from kombu.message import Message
from kombu.messaging import Consumer

from cli.stack.server import Server
from config.settings import Settings
from tasks import queues
from tasks.app import make_app
from tests.processes import hanging
from tests.waiting import until

TIMEOUT = 0.2


@pytest.mark.parametrize("settle", [Message.ack, Message.reject, Message.requeue])
def test_a_message_that_could_not_be_settled_is_not_waited_for(
    valkey: Server, settings: Settings, client: redis.Redis, settle: Callable[[Message], None]
) -> None:
    app = make_app(settings, socket_timeout=TIMEOUT)
    for number in (1, 2):
        app.send_task(queues.REFIT_TASK, kwargs={"project": number}, queue=queues.REFIT, ignore_result=True)
    found: list[Message] = []
    with app.connection_for_read() as connection, connection.channel() as channel:
        channel.basic_qos(0, 1, False)
        with Consumer(channel, [app.amqp.queues[queues.REFIT]], on_message=found.append):

            def taken(count: int) -> bool:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.1)
                return len(found) == count

            until(lambda: taken(1), "a message")
            assert not channel.qos.can_consume(), "one at a time"
            with hanging(valkey), pytest.raises(redis.exceptions.TimeoutError):
                settle(found[0])
            until(lambda: taken(2), "the next one")
    assert [message.payload[1]["project"] for message in found] == [1, 2]
