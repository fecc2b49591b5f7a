"""What can go wrong in inference.

ConsensusError
├── MemoryLimitError
├── TooManyClassesError
└── UnknownModelError
"""


class ConsensusError(Exception):
    """Inference was asked for something that it does not offer."""


class UnknownModelError(ConsensusError):
    """No model has this name; the message lists the names there are."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no model is called {name!r}; there are {', '.join(known)}")


class TooManyClassesError(ConsensusError):
    """A model for two classes was given more."""

    def __init__(self, name: str, K: int) -> None:
        super().__init__(f"{name} is a model for two classes, and there are {K}")


class MemoryLimitError(ConsensusError):
    """A fit does not fit into the memory that it was allowed; the message says what it needs."""

    def __init__(self, allowed: int, needed: int) -> None:
        super().__init__(f"max_memory: {allowed} bytes do not suffice; the least that this fit can do with is {needed}")
