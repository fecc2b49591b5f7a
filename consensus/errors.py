"""What can go wrong in inference.

ConsensusError
└── UnknownModelError
"""


class ConsensusError(Exception):
    """Inference was asked for something that it does not offer."""


class UnknownModelError(ConsensusError):
    """No model has this name; the message lists the names there are."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no model is called {name!r}; there are {', '.join(known)}")
