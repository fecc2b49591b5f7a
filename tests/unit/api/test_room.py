"""Room that tenants share."""

from api.room import Room

ONE, OTHER, THIRD = range(3)


def test_a_tenant_has_half_of_it_and_all_have_the_whole() -> None:
    room = Room(12)
    assert room.take(ONE, 4)
    assert room.take(ONE, 2)
    assert not room.take(ONE, 1)
    assert room.take(OTHER, 5)
    assert not room.take(THIRD, 2)
    assert room.take(THIRD, 1)


def test_what_is_given_back_is_free_again() -> None:
    room = Room(12)
    assert room.take(ONE, 6)
    assert room.take(OTHER, 6)
    room.give_back(ONE, 6)
    assert room.take(THIRD, 6)
    assert not room.take(ONE, 1)
