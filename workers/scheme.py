"""A project's model and how its classes are numbered for it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from consensus import registry
from consensus.caution import Caution
from consensus.model import Model
from consensus.prior import Prior
from consensus.statistics import Form
from db.columns import Lists
from db.projects import Grading, Rules

Floats = npt.NDArray[np.float64]


class OutgrownError(Exception):
    """An open project has more classes by now than this scheme knows; a new one must be made."""


@dataclass(frozen=True, eq=False)
class Scheme:
    """How to compute for a project now.

    Stored arrays are by class code; codes are in the order in which classes were declared or first met. The model works
    on classes in the order of their keys' bytes, so that nothing it finds depends on the order of arrival.
    """

    model: Model
    form: Form
    prior: Prior
    run_id: int | None
    order: npt.NDArray[np.int64]
    """(K,) class code at each canonical place."""
    place: npt.NDArray[np.int64]
    """(K,) canonical place of each class code."""
    keys: tuple[str, ...]
    """(K,) in canonical order."""
    grading: Grading
    caution: Caution | None
    """Of the current run; without one, verdicts are settled by what is published."""
    device: torch.device

    @property
    def rules(self) -> Rules:
        """When a verdict is settled, and told."""
        return self.grading.rules

    @property
    def classes(self) -> int:
        """K."""
        return len(self.order)

    @property
    def width(self) -> int:
        """Of respondents' statistics."""
        return self.classes**2 if self.form == Form.FULL else 1 + self.classes

    def posteriors(self, stored: Lists) -> Floats:
        """Stored posteriors as (I, K) in canonical order; zero where nothing was stored.

        Raises:
            OutgrownError: some were stored for more classes.
        """
        self._check(stored, self.classes)
        table = np.zeros((stored.count, self.classes))
        for length, (places, values) in stored.by_length.items():
            table[places, :length] = values
        return table if self._straight else table[:, self.order]

    def statistics(self, stored: Lists) -> Floats:
        """Stored statistics as (J, width) in canonical order; those stored before classes were added are widened.

        Raises:
            OutgrownError: some were stored for more classes.
        """
        k = self.classes
        full = self.form == Form.FULL
        self._check(stored, self.width)
        table = np.zeros((stored.count, k, k) if full else (stored.count, 1 + k))
        for length, (places, values) in stored.by_length.items():
            if full:
                older = round(length**0.5)
                table[places, :older, :older] = values.reshape(-1, older, older)
            else:
                table[places, :length] = values
        if full:
            return table[:, self.order[:, None], self.order].reshape(stored.count, k * k)
        return table[:, np.concatenate([[0], 1 + self.order])]

    def places(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Canonical places of class codes; -1 is no class and stays as it is.

        Raises:
            OutgrownError: some are of classes that came later.
        """
        if codes.max(initial=-1) >= self.classes:
            raise self._outgrown
        return self._place_or_none[codes]

    def codes(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Class codes of canonical places, likewise."""
        return self._code_or_none[places]

    def coded_posteriors(self, posterior: Floats) -> Floats:
        """(I, K) in canonical order as they are stored, by class code."""
        return posterior if self._straight else posterior[:, self.place]

    def coded_statistics(self, statistics: Floats) -> Floats:
        """(J, width) in canonical order as they are stored, by class code."""
        k = self.classes
        if self._straight:
            return statistics
        if self.form == Form.FULL:
            table = statistics.reshape(-1, k, k)
            return table[:, self.place[:, None], self.place].reshape(-1, k * k)
        return statistics[:, np.concatenate([[0], 1 + self.place])]

    @cached_property
    def _straight(self) -> bool:
        """Whether codes are in canonical order."""
        return bool((self.order == np.arange(self.classes)).all())

    @cached_property
    def _place_or_none(self) -> npt.NDArray[np.int64]:
        """(K + 1,) -1 comes last: an index of -1 means just that."""
        return np.append(self.place, -1)

    @cached_property
    def _code_or_none(self) -> npt.NDArray[np.int64]:
        return np.append(self.order, -1)

    @property
    def _outgrown(self) -> OutgrownError:
        return OutgrownError(f"the project has more than {self.classes} classes by now")

    def _check(self, stored: Lists, longest: int) -> None:
        if max(stored.by_length, default=0) > longest:
            raise self._outgrown


def make(grading: Grading, device: torch.device) -> Scheme:
    """The scheme of a project as it stands; of one that has met no class yet, that of a single one without a name.

    Raises:
        UnknownModelError: the project's model is not known to this release.
    """
    model = registry.get(grading.model)
    form = Form(grading.form)
    classes = grading.classes or ("",)
    keys = [key.encode() for key in classes]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    prior = _prior(model, form, len(keys), grading.prior)
    named = tuple(classes[code] for code in order)
    caution = (grading.prior or {}).get("caution")
    return Scheme(
        model,
        form,
        prior.to(device),
        grading.run_id,
        order,
        np.argsort(order),
        named,
        grading,
        None if caution is None else Caution.from_json(caution),
        device,
    )


def _prior(model: Model, form: Form, classes: int, stored: Any | None) -> Prior:
    """The current run's prior, if it was made for these classes: an open project may have met new ones since."""
    if stored is not None and stored["classes"] == classes:
        return Prior.from_json(stored["tensors"])
    return model.prior(classes, form)


def tensor(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """A numpy array as a tensor on the device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
