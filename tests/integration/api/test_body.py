"""Bodies as they come in: in parts, for no longer than is waited, and no more at a time than there is room for."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from api import body
from api.body import Inbox, read


def received(messages: list[Message], *, limit: int = 100, room: int = 100) -> bytes:
    """What is read of a client that sends these, then nothing."""

    async def receive() -> Message:
        return messages.pop(0) if messages else await asyncio.Event().wait() and {}

    async def run() -> bytes:
        inbox = Inbox(room)
        try:
            with inbox.receiving(1) as take:
                return await read({"headers": []}, receive, limit, take)
        finally:
            with inbox.receiving(1) as one, inbox.receiving(2) as other:
                one(room // 2)
                other(room // 2)  # all of it is free again

    return asyncio.run(run())


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_read_in_parts() -> None:
    assert received([part(b"ab"), part(b"c"), part(b"", more=False)]) == b"abc"


def test_bodies_share_the_room() -> None:
    with pytest.raises(HTTPException) as refused:
        received([part(b"12345"), part(b"67890")], room=19)
    assert refused.value.status_code == 503


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "ARRIVAL", 0.01)
    with pytest.raises(HTTPException) as refused:
        received([part(b"12345")])
    assert refused.value.status_code == 408
