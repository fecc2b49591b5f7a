"""What is sent of a file, and under which keys."""

import gzip
from pathlib import Path

import msgspec
import pytest

from cli.answer_files import AnswerFileError
from cli.errors import CliError
from cli.submission import Submission
from db.bodies import NDJSON, decode


def _file(path: Path, answers: int, *, name: str = "answers.csv", label: str = "a") -> Path:
    file = path / name
    rows = "".join(f"c{number},r{number},{label}\n" for number in range(answers))
    file.write_text(f"task,worker,label\n{rows}")
    return file


@pytest.mark.parametrize(("answers", "size", "sizes"), [(5, 2, [2, 2, 1]), (4, 2, [2, 2]), (3, 10, [3]), (1, 1, [1])])
def test_every_answer_is_in_one_batch(tmp_path: Path, answers: int, size: int, sizes: list[int]) -> None:
    submission = Submission.survey(_file(tmp_path, answers), "p", size)
    batches = list(submission.batches())
    assert [len(batch.lines) for batch in batches] == sizes
    assert submission.count == len(batches)
    assert submission.answers == answers
    sent = [answer for batch in batches for answer in decode(batch.body, NDJSON)]
    assert [answer.challenge for answer in sent] == [f"c{number}" for number in range(answers)]
    assert [line for batch in batches for line in batch.lines] == list(range(2, answers + 2))


def test_keys_repeat_exactly(tmp_path: Path) -> None:
    file = _file(tmp_path, 7)
    first, second = (list(Submission.survey(file, "p", 2).batches()) for _ in range(2))
    assert [(batch.key, batch.body) for batch in first] == [(batch.key, batch.body) for batch in second]
    assert len({batch.key for batch in first}) == 4


def test_keys_fit_the_header(tmp_path: Path) -> None:
    submission = Submission.survey(_file(tmp_path, 3), "p" * 64, 1)
    assert all(len(batch.key) <= 200 and batch.key.isascii() for batch in submission.batches())


def test_another_size_conflicts_in_the_first_batch_only(tmp_path: Path) -> None:
    file = _file(tmp_path, 7)
    twos, threes = (list(Submission.survey(file, "p", size).batches()) for size in (2, 3))
    assert twos[0].key == threes[0].key
    assert twos[0].body != threes[0].body
    assert not {batch.key for batch in twos[1:]} & {batch.key for batch in threes[1:]}


def test_keys_tell_projects_and_files_apart(tmp_path: Path) -> None:
    ours = Submission.survey(_file(tmp_path, 2), "p", 1)
    others = [
        Submission.survey(_file(tmp_path, 2), "q", 1),
        Submission.survey(_file(tmp_path, 2, name="b.csv", label="b"), "p", 1),
    ]
    keys = {batch.key for batch in ours.batches()}
    assert all(batch.key not in keys for other in others for batch in other.batches())


def test_a_gzip_is_the_same_file(tmp_path: Path) -> None:
    file = _file(tmp_path, 3)
    packed = tmp_path / "answers.csv.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert Submission.survey(packed, "p", 2).digest == Submission.survey(file, "p", 2).digest


def test_all_columns_are_sent(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text(
        "challenge,respondent,answer,answered_at,duration_ms\n"
        'c,r,"a, ""b""",2026-01-05T10:00:00+02:00,120\n'
        "c,r,a,2026-01-05 10:00:00,\n"
        "c,r,a,,\n"
    )
    (batch,) = Submission.survey(file, "p", 10).batches()
    assert [msgspec.json.decode(line) for line in batch.body.splitlines()] == [
        {
            "challenge": "c",
            "respondent": "r",
            "answer": 'a, "b"',
            "answered_at": "2026-01-05T10:00:00+02:00",
            "duration_ms": 120,
        },
        {"challenge": "c", "respondent": "r", "answer": "a", "answered_at": "2026-01-05T10:00:00Z"},
        {"challenge": "c", "respondent": "r", "answer": "a"},
    ]
    decode(batch.body, NDJSON)


def test_a_bad_line_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    file = _file(tmp_path, 5)
    file.write_text(file.read_text() + "only,two\n")
    with pytest.raises(AnswerFileError, match="line 7"):
        Submission.survey(file, "p", 2)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="holds no answers"):
        Submission.survey(_file(tmp_path, 0), "p", 2)


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    file = _file(tmp_path, 5)
    submission = Submission.survey(file, "p", 2)
    _file(tmp_path, 6)
    with pytest.raises(CliError, match="changed while it was being sent"):
        list(submission.batches())
