import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.answer_files import AnswerFileError, AnswerRow, TruthRow, read_answers, read_truth
from cli.errors import CliError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


CSV = "challenge,respondent,answer\nc1,r1,yes\nc2,r2,no\n"
NDJSON = '{"challenge":"c1","respondent":"r1","answer":"yes"}\n{"challenge":"c2","respondent":"r2","answer":"no"}\n'


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.csv", CSV, (2, 3)),
        ("a.csv.gz", CSV, (2, 3)),
        ("a.ndjson", NDJSON, (1, 2)),
        ("a.jsonl.gz", NDJSON, (1, 2)),
        ("A.CSV", "\ufeffChallenge, Respondent,ANSWER\r\nc1,r1,yes\r\n\r\nc2,r2,no\r\n", (2, 4)),
    ],
)
def test_reads_every_kind(tmp_path: Path, name: str, text: str, lines: tuple[int, int]) -> None:
    assert list(read_answers(write(tmp_path, name, text))) == [
        AnswerRow(lines[0], "c1", "r1", "yes"),
        AnswerRow(lines[1], "c2", "r2", "no"),
    ]


@pytest.mark.parametrize("challenge", ["task", "item", "question"])
@pytest.mark.parametrize("respondent", ["worker", "annotator", "rater"])
@pytest.mark.parametrize("answer", ["label", "judgment"])
def test_knows_other_names_of_columns(tmp_path: Path, challenge: str, respondent: str, answer: str) -> None:
    path = write(tmp_path, "a.csv", f"{answer},extra,{respondent},{challenge}\nx,-,r,c\n")

    assert list(read_answers(path)) == [AnswerRow(2, "c", "r", "x")]


def test_a_columns_own_name_goes_before_its_alias(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "question,task,challenge,worker,label\nWhat?,t,c,r,x\n")

    assert next(read_answers(path)).challenge == "c"


def test_keys_are_text_as_it_stands(tmp_path: Path) -> None:
    csv = write(tmp_path, "a.csv", 'task,worker,label\n 01,"r\n1","[1,2]"\n')
    ndjson = write(tmp_path, "a.ndjson", '{"task": 7, "worker": "ä\\ud83d\\ude00", "label": 0}')

    assert list(read_answers(csv)) == [AnswerRow(3, " 01", "r\n1", "[1,2]")]
    assert list(read_answers(ndjson)) == [AnswerRow(1, "7", "ä😀", "0")]


def test_times_are_optional(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.csv",
        "task,worker,label,answered_at,duration_ms\nc,r,x,2024-05-01T12:00:00Z,1500\nc,s,x,,\n",
    )

    assert list(read_answers(path)) == [
        AnswerRow(2, "c", "r", "x", "2024-05-01T12:00:00Z", 1500),
        AnswerRow(3, "c", "s", "x"),
    ]


def test_a_skip_has_no_answer(tmp_path: Path) -> None:
    csv = write(tmp_path, "a.csv", "task,worker,label,skip,session\nc,r,,true,s1\nc,s,x,,\n")
    ndjson = write(tmp_path, "a.ndjson", '{"task": "c", "worker": "r", "skip": true}')

    assert list(read_answers(csv)) == [AnswerRow(2, "c", "r", None, session="s1"), AnswerRow(3, "c", "s", "x")]
    assert list(read_answers(ndjson)) == [AnswerRow(1, "c", "r", None)]


def test_truth_needs_no_respondent(tmp_path: Path) -> None:
    assert list(read_truth(write(tmp_path, "t.csv", "task,label\nc,x\n"))) == [TruthRow(2, "c", "x")]


HEADER = "challenge,respondent,answer,answered_at,duration_ms\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "line 1, column challenge: has no such column"),
        (
            "a.csv",
            "challenge,answer\n",
            "line 1, column respondent: has no such column (nor worker or annotator or rater)",
        ),
        ("a.csv", CSV + "c3,r3\n", "line 4: has 2 fields, the header 3"),
        ("a.csv", CSV + "c3,,yes\n", "line 4, column respondent: is empty"),
        ("a.csv", "task,worker,label\nc,r,\n", "line 2, column label: is empty"),
        ("a.csv", CSV + "c\0,r,x\n", "line 4, column challenge: holds a NUL"),
        ("a.csv", CSV + '"c,r,x\n', "line 4: is not CSV"),
        ("a.csv", HEADER + "c,r,x,yesterday,\n", "line 2, column answered_at: 'yesterday' is not an ISO 8601 time"),
        ("a.csv", HEADER + "c,r,x,,1.5\n", "line 2, column duration_ms: '1.5' is not a whole number"),
        ("a.csv", HEADER + "c,r,x,,-1\n", "line 2, column duration_ms: '-1' is not a whole number"),
        ("a.ndjson", NDJSON + "{", "line 3: is not JSON"),
        ("a.ndjson", NDJSON + "[1]", "line 3: is not a JSON object"),
        ("a.ndjson", '{"challenge":"c","respondent":"r"}', "line 1, column answer: is missing"),
        ("a.ndjson", '{"task":"c","worker":1.5,"label":"x"}', "line 1, column worker: must be text"),
        ("a.ndjson", '{"task":"c","worker":true,"label":"x"}', "line 1, column worker: must be text"),
        ("a.ndjson", '{"task":"c","worker":"r","label":"\\ud800"}', "line 1, column label: holds a NUL or half of"),
        ("a.ndjson", '{"task":"c","worker":"r","label":"x","duration_ms":true}', "line 1, column duration_ms: True"),
        ("a.parquet", "", "the name must end in .csv, .ndjson or .jsonl"),
    ],
)
def test_names_file_line_and_column(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = write(tmp_path, name, text)

    with pytest.raises(AnswerFileError) as caught:
        list(read_answers(path))

    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, CliError)


def truncated(path: Path) -> None:
    path.write_bytes(gzip.compress(CSV.encode() * 1000)[:-20])


def plain(path: Path) -> None:
    path.write_text(CSV)


def damaged(path: Path) -> None:
    data = bytearray(gzip.compress(CSV.encode() * 1000))
    data[30] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [truncated, plain, damaged])
def test_a_broken_gzip_file(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "a.csv.gz"
    spoil(path)

    with pytest.raises(AnswerFileError, match="is not a whole gzip file"):
        list(read_answers(path))


def test_other_encodings_and_missing_files(tmp_path: Path) -> None:
    latin = tmp_path / "latin.csv"
    latin.write_bytes("challenge,respondent,answer\nä,r,x\n".encode("latin-1"))

    with pytest.raises(AnswerFileError, match="is not UTF-8"):
        list(read_answers(latin))
    with pytest.raises(AnswerFileError, match="No such file"):
        list(read_answers(tmp_path / "none.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(AnswerFileError, match="directory"):
        list(read_answers(tmp_path / "folder.csv"))


def test_is_never_whole_in_memory(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", CSV + "broken\n")
    rows = read_answers(path)

    assert [next(rows).line, next(rows).line] == [2, 3]
    with pytest.raises(AnswerFileError):
        next(rows)
