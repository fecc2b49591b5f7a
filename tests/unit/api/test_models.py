"""The edge knows the models by name alone; the names must be those of the engine."""

from typing import get_args

from api.schemas.project import FULL_FORM, Model
from consensus.form import FULL_UP_TO
from consensus.registry import MODELS


def test_the_models_are_those_of_the_engine() -> None:
    assert set(get_args(Model)) == set(MODELS)


def test_the_form_changes_where_that_of_the_engine_does() -> None:
    assert FULL_FORM == FULL_UP_TO
