"""Ports of stacks that start at the same moment."""

import multiprocessing

from cli.stack.ports import free_port, reserved


def test_a_reserved_port_is_nobody_elses_until_it_is_given_back() -> None:
    wanted = free_port()
    with reserved(wanted) as first, reserved(wanted) as second:
        assert first == wanted
        assert second != wanted
    with reserved(wanted) as again:
        assert again == wanted


def test_a_process_that_is_killed_gives_its_port_back() -> None:
    wanted = free_port()
    context = multiprocessing.get_context("spawn")
    ready, never = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(wanted, ready, never))
    holder.start()
    assert ready.wait(60)
    with reserved(wanted) as port:
        assert port != wanted
    holder.kill()
    holder.join()
    with reserved(wanted) as port:
        assert port == wanted


def hold(port: int, ready, never) -> None:  # type: ignore[no-untyped-def]
    """Hold a port until killed."""
    with reserved(port):
        ready.set()
        never.wait()
