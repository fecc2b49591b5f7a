"""The models there are. A new model is one file and one line here."""

from collections.abc import Mapping
from types import MappingProxyType

from consensus import (
    cbcc,
    dawid_skene,
    ebcc,
    glad,
    ibcc,
    kos,
    mace,
    majority,
    one_coin,
    touchstone,
    wawa,
    zero_based_skill,
)
from consensus.errors import UnknownModelError
from consensus.model import Model

_ALL: tuple[Model, ...] = (
    majority.MODEL,
    one_coin.MODEL,
    dawid_skene.MODEL,
    wawa.MODEL,
    zero_based_skill.MODEL,
    glad.MODEL,
    mace.MODEL,
    kos.MODEL,
    ibcc.MODEL,
    cbcc.MODEL,
    ebcc.MODEL,
    touchstone.MODEL,
)

MODELS: Mapping[str, Model] = MappingProxyType({model.name: model for model in _ALL})


def get(name: str) -> Model:
    """The model of this name.

    Raises:
        UnknownModelError: there is none.
    """
    try:
        return MODELS[name]
    except KeyError:
        raise UnknownModelError(name, list(MODELS)) from None
