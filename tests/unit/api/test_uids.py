"""Identifiers grow with time."""

import uuid

from api.uids import new_uid


def test_identifiers_are_of_version_7() -> None:
    uid = new_uid()
    assert (uid.version, uid.variant) == (7, uuid.RFC_4122)


def test_identifiers_differ_and_grow() -> None:
    uids = [new_uid() for _ in range(1000)]
    assert len(set(uids)) == 1000
    stamps = [uid.int >> 80 for uid in uids]
    assert stamps == sorted(stamps)
