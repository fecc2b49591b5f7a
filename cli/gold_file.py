"""Loading a file of gold, a thousand rows at a time."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cli.answer_files import AnswerFileError, TruthRow, read_truth
from cli.client import ApiError, Client, project_path

_ROWS = 1000
_POINTER = re.compile(r"/(?P<row>\d+)(?:/(?P<field>.*))?", re.DOTALL)


def load_gold(client: Client, project: str, file: Path) -> dict[str, int]:
    """Make the challenges of a file gold; returns how many rows were `added`, `changed` and `unchanged`.

    The file is read whole before anything is sent; the same again is harmless.

    Raises:
        AnswerFileError: the file cannot be read, or the API refuses a line of it.
        CliError: the API refuses.
    """
    rows = list(read_truth(file))
    total = Counter(added=0, changed=0, unchanged=0)
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        body = [{"challenge": row.challenge, "answer": row.answer} for row in some]
        try:
            total.update(client.post(project_path(project, "gold"), body))
        except ApiError as error:
            raise _of_line(file, some, error) or error from None
    return dict(total)


def _of_line(file: Path, rows: Sequence[TruthRow], error: ApiError) -> AnswerFileError | None:
    """The first thing wrong, by its line."""
    for fault in error.errors:
        place = _POINTER.fullmatch(fault["pointer"])
        if place and int(place["row"]) < len(rows):
            return AnswerFileError(file, fault["detail"], rows[int(place["row"])].line, place["field"])
    return None
