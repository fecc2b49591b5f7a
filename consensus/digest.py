"""A name for the input of a fit."""

import ctypes
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from consensus.answers import Answers


def digest(answers: Answers, declared: Mapping[str, Any] | None = None) -> str:
    """SHA-256 in hex over everything that a fit depends on; the order of the answers does not matter.

    `declared` is whatever else decides the result or gives the codes their meaning, as JSON values: model and version,
    form, the keys of items, annotators and classes.
    """
    order = ((answers.item * answers.J + answers.annotator) * answers.K + answers.label).argsort()
    header = {"I": answers.I, "J": answers.J, "K": answers.K, "N": answers.N, "declared": dict(declared or {})}
    sha = hashlib.sha256(json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
    for codes in (answers.item[order], answers.annotator[order], answers.label[order], answers.gold):
        sha.update(b"-" if codes is None else _bytes(codes))
    if answers.history is not None:
        sha.update(_bytes(answers.history))
    return sha.hexdigest()


def _bytes(codes: Tensor) -> bytes:
    """The 64-bit numbers as the machine stores them (little-endian wherever torch runs)."""
    host = codes.cpu().contiguous()
    return ctypes.string_at(host.data_ptr(), host.numel() * host.element_size()) if host.numel() else b""
