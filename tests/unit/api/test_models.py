"""The edge knows the models by name alone; the names must be those of the engine."""

from typing import Any, get_args

import pytest

from api.schemas.project import FULL_FORM, Model, ProjectCreation
from consensus.form import FULL_UP_TO
from consensus.registry import MODELS


def test_the_models_are_those_of_the_engine() -> None:
    assert set(get_args(Model)) == set(MODELS)


def test_the_form_changes_where_that_of_the_engine_does() -> None:
    assert FULL_FORM == FULL_UP_TO


@pytest.mark.parametrize("fields", [{"classes": ["a", "b", "c"]}, {"classes": "open"}])
def test_kos_is_for_two_classes(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="model: kos is for two classes"):
        ProjectCreation(name="p", model="kos", **fields)

    assert ProjectCreation(name="p", model="kos", classes=["a", "b"]).model == "kos"
    assert ProjectCreation(name="p", model="kos", classes="open", max_classes=2).model == "kos"
