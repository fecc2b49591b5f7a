import pytest

from consensus.errors import ConsensusError, UnknownModelError
from consensus.registry import MODELS, get


def test_models_go_by_their_names() -> None:
    assert set(MODELS) >= {"majority", "one-coin", "dawid-skene", "glad", "kos", "ebcc"}
    assert all(get(name).name == name for name in MODELS)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"'best'.* majority, one-coin, dawid-skene") as caught:
        get("best")
    assert isinstance(caught.value, ConsensusError)
