import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from cli.errors import CliError
from cli.grade import grade
from consensus.registry import MODELS

ANSWERS = "task,worker,label\n" + "".join(
    f"{task},{worker},{label}\n"
    for task, labels in {"a": "xxy", "b": "yyy", "é": "xyy", "Z": "xy"}.items()
    for worker, label in enumerate(labels)
)
DATA = Path(__file__).parents[3].parent / "shared" / "data"

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(grade)


def run(*arguments: str | Path) -> str:
    """What the command prints; its errors are raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that outnumber the cores, as under xdist, wait for one another: hundred times slower than one alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "answers.csv"
    path.write_text(ANSWERS, encoding="utf-8")
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "truth.csv"
    path.write_text("task,label\na,x\nb,y\né,x\nZ,x\nnever-answered,x\n", encoding="utf-8")
    return path


def test_json_is_the_last_line(answers: Path, truth: Path) -> None:
    summary = json.loads(run(answers, "--truth", truth, "--model", "majority", "--json").splitlines()[-1])

    assert list(summary) == [
        *("accuracy", "log_loss", "brier", "ece"),
        *("challenges", "answers", "model", "shape", "reason"),
    ]
    assert summary["accuracy"] == (1 + 1 + 0 + 0.5) / 4
    assert (summary["challenges"], summary["answers"], summary["model"]) == (4, 11, "majority")


def test_scores_are_null_without_truth(answers: Path) -> None:
    summary = json.loads(run(answers, "--json"))

    assert [summary[name] for name in ("accuracy", "log_loss", "brier", "ece")] == [None] * 4
    assert summary["model"] == "touchstone"


def test_options_that_differ_are_graded_as_one_coin(answers: Path, tmp_path: Path) -> None:
    """Respondent 2 says y whatever the challenge: only where options mean the same can that be held against y."""
    outs = [tmp_path / "same.csv", tmp_path / "differ.csv"]
    run(answers, "--out", outs[0])
    summary = json.loads(run(answers, "--options-differ", "--out", outs[1], "--json"))

    assert (summary["model"], summary["shape"]) == ("touchstone", "one-coin, independent")
    assert summary["reason"].startswith("the residual agreement of answers to one challenge is ")
    assert outs[0].read_bytes() != outs[1].read_bytes()


def test_a_table_for_people(answers: Path, truth: Path) -> None:
    assert "accuracy" not in run(answers)
    printed = run(answers, "--truth", truth, "--model", "majority")

    assert "accuracy" in printed
    assert "0.6250" in printed


def test_exact_copies_count_once_and_other_repeats_stay(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("task,worker,label\na,1,x\na,1,x\na,1,y\na,2,x\n")

    assert json.loads(run(path, "--json"))["answers"] == 3


def test_verdicts_are_written_in_the_order_of_key_bytes(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "verdicts.csv"
    run(answers, "--model", "majority", "--out", out)

    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["challenge", "answer", "confidence", "p:x", "p:y"]
    assert [row[0] for row in rows[1:]] == ["Z", "a", "b", "é"]
    assert rows[1] == ["Z", "x", "0.5", "0.5", "0.5"]
    assert rows[3] == ["b", "y", "1.0", "0.0", "1.0"]


@pytest.mark.parametrize("model", MODELS)
def test_the_order_of_the_file_leaves_no_trace(answers: Path, tmp_path: Path, model: str) -> None:
    header, *lines = ANSWERS.splitlines(keepends=True)
    other = tmp_path / "other.csv"
    other.write_text(header + "".join(reversed(lines)), encoding="utf-8")
    for path in (answers, other):
        run(path, "--model", model, "--out", path.with_suffix(".out"))

    assert answers.with_suffix(".out").read_bytes() == other.with_suffix(".out").read_bytes()


def test_a_true_class_that_nobody_chose_is_a_miss(answers: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("task,label\nb,z\n")

    assert json.loads(run(answers, "--truth", truth, "--json"))["accuracy"] == 0


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("contradiction.csv", "task,label\na,x\na,y\n", "line 3: 'a' has another answer on a line before"),
        ("stranger.csv", "task,label\nq,x\n", "has the right answer of no challenge that was answered"),
        ("broken.csv", "task\na\n", "column answer: has no such column"),
    ],
)
def test_truth_that_cannot_be_used(answers: Path, tmp_path: Path, name: str, text: str, message: str) -> None:
    truth = tmp_path / name
    truth.write_text(text)

    with pytest.raises(CliError, match=message):
        run(answers, "--truth", truth)


def test_what_cannot_be_graded(answers: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("task,worker,label\n")

    with pytest.raises(CliError, match="holds no answers"):
        run(empty)
    with pytest.raises(CliError, match="no model is called 'best'; there are majority"):
        run(answers, "--model", "best")
    with pytest.raises(CliError, match="No such file"):
        run(answers, "--out", tmp_path / "none" / "out.csv")


def test_other_commands_do_not_wait_for_torch() -> None:
    script = "import sys, cli.grade; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def accuracy(name: str, model: str) -> float:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    path = next(folder.glob("answers.csv*"))
    result = json.loads(run(path, "--truth", folder / "truth.csv", "--model", model, "--json"))
    return float(result["accuracy"])


@pytest.mark.data
def test_textual_entailment() -> None:
    assert accuracy("rte", "majority") == pytest.approx(0.897, abs=0.001)
    assert accuracy("rte", "dawid-skene") >= 0.925


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "majority", "dawid_skene"),
    [
        ("adult", 0.7583, 0.7508),
        ("barzan", 0.6960, 0.7140),
        ("bluebird", 0.7593, 0.8889),
        ("cf_amt", 0.8533, 0.8433),
        ("face", 0.6367, 0.6490),
        ("hitspam_cf", 0.6600, 0.6600),
        ("labelme", 0.7660, 0.7930),
        ("mediaeval_q1", 0.8911, 0.8986),
        ("ms", 0.7042, 0.7900),
        ("product", 0.8966, 0.9383),
        ("rel", 0.5423, 0.5973),
        ("reuters", 0.6563, 0.7133),
        ("senti_1k", 0.9335, 0.9580),
        ("slr_intervention", 0.4650, 0.5000),
        ("slr_older", 0.8900, 0.8800),
        ("sp", 0.8859, 0.9156),
        ("wsd", 0.9944, 0.9944),
        ("zc_in", 0.7404, 0.7917),
    ],
)
def test_public_data_sets(name: str, majority: float, dawid_skene: float) -> None:
    """As measured when the models were written: a change that moves one of them says so."""
    assert accuracy(name, "majority") == pytest.approx(majority, abs=0.0005)
    assert accuracy(name, "dawid-skene") == pytest.approx(dawid_skene, abs=0.003)
