"""How classes are numbered: stored by code, computed in the order of their keys."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from consensus.errors import UnknownModelError
from db.columns import Lists
from db.projects import Grading
from workers import scheme
from workers.recall import LEAST, ROOM, Recall
from workers.scheme import OutgrownError, Scheme

CPU = torch.device("cpu")


def make(*classes: str, form: str = "full", model: str = "dawid-skene", prior: object = None) -> Scheme:
    grading = Grading(1, classes, True, 32, form, model, "first", 7, prior)
    return scheme.make(grading, CPU)


def test_the_canonical_order_is_that_of_the_keys_bytes() -> None:
    made = make("b", "ä", "B", "a")
    assert made.order.tolist() == [2, 3, 0, 1]  # B a b ä
    assert made.place.tolist() == [2, 3, 0, 1]
    assert make("c", "a", "b").order.tolist() == [1, 2, 0]
    assert make("c", "a", "b").place.tolist() == [2, 0, 1]


def test_no_class_stays_no_class() -> None:
    made = make("c", "a", "b")
    assert made.places(np.array([0, -1, 2])).tolist() == [2, -1, 1]
    assert made.codes(np.array([0, -1, 2])).tolist() == [1, -1, 0]


def test_a_class_that_came_later_is_not_taken_for_none() -> None:
    with pytest.raises(OutgrownError, match="more than 3 classes"):
        make("c", "a", "b").places(np.array([0, 3]))


def test_it_is_made_anew_when_the_grading_has_changed() -> None:
    recall = Recall()
    first = Grading(1, ("b", "a"), True, 32, "full", "dawid-skene", "first", 7, None)
    more = Grading(1, ("b", "a", "c"), True, 32, "full", "dawid-skene", "first", 7, None)
    made = recall.scheme(first, CPU)
    assert recall.scheme(replace(first), CPU) is made
    assert recall.scheme(more, CPU).keys == ("a", "b", "c")
    assert recall.scheme(first, CPU).keys == ("a", "b")


@pytest.mark.parametrize(("classes", "form"), [(2, "full"), (40, "full"), (1000, "coin")])
def test_what_is_remembered_of_a_project_is_bounded_by_its_bytes(classes: int, form: str) -> None:
    recall = Recall()
    made = make(*(f"class {number}" for number in range(classes)), form=form)
    recall.suit(made)
    for start in range(0, 1 << 16, 1 << 12):
        ids = np.arange(start, start + (1 << 12))
        recall.respondents.find(ids)
        recall.respondents.put(ids)
    assert recall.respondents.nbytes < 1.2 * ROOM
    assert len(recall.respondents) >= LEAST


def test_posteriors_there_and_back() -> None:
    made = make("c", "a", "b")
    canonical = made.posteriors(Lists.of([[0.5, 0.3, 0.2]]))
    assert canonical.tolist() == [[0.3, 0.2, 0.5]]
    assert made.coded_posteriors(canonical).tolist() == [[0.5, 0.3, 0.2]]


@pytest.mark.parametrize("form", ["full", "coin"])
def test_statistics_there_and_back(form: str) -> None:
    made = make("c", "a", "b", form=form)
    stored = np.arange(9.0 if form == "full" else 4.0)
    assert made.coded_statistics(made.statistics(Lists.of([stored.tolist()]))).tolist() == [stored.tolist()]


def test_full_statistics_are_by_true_class_and_label() -> None:
    made = make("b", "a")
    assert made.statistics(Lists.of([[1, 2, 3, 4]])).tolist() == [[4, 3, 2, 1]]
    assert make("c", "a", "b").statistics(Lists.of([[0, 1, 0, 0, 0, 0, 0, 0, 0]])).tolist() == [
        [0, 0, 0, 0, 0, 0, 1, 0, 0]
    ]


def test_coin_statistics_keep_what_is_right_in_front() -> None:
    assert make("b", "a", form="coin").statistics(Lists.of([[5, 2, 3]])).tolist() == [[5, 3, 2]]


def test_what_was_stored_before_classes_were_added_is_widened() -> None:
    full = make("b", "a", "c")
    assert full.posteriors(Lists.of([[], [1.0], [0.25, 0.75]])).tolist() == [[0, 0, 0], [0, 1, 0], [0.75, 0.25, 0]]
    widened = full.statistics(Lists.of([[], [9], [1, 2, 3, 4]]))
    assert widened.tolist() == [[0] * 9, [0, 0, 0, 0, 9, 0, 0, 0, 0], [4, 3, 0, 2, 1, 0, 0, 0, 0]]
    coin = make("b", "a", "c", form="coin")
    assert coin.statistics(Lists.of([[], [5, 5]])).tolist() == [[0, 0, 0, 0], [5, 0, 5, 0]]


@pytest.mark.parametrize("form", ["full", "coin"])
def test_what_was_stored_for_more_classes_calls_for_a_new_scheme(form: str) -> None:
    made = make("a", "b", form=form)
    with pytest.raises(OutgrownError):
        made.posteriors(Lists.of([[], [0.2, 0.3, 0.5]]))
    with pytest.raises(OutgrownError):
        made.statistics(Lists.of([[1.0] * (9 if form == "full" else 4)]))


def test_a_runs_prior_is_used_while_it_fits_the_classes() -> None:
    prior = make("a", "b").prior
    changed = prior.to_json().replace("0.5", "0.25", 1)
    stored = {"classes": 2, "tensors": changed}
    assert make("a", "b", prior=stored).prior.to_json() == changed
    assert make("a", "b", "c", prior=stored).prior.to_json() == make("a", "b", "c").prior.to_json()


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UnknownModelError, match="oracle"):
        make("a", model="oracle")
