"""The page that `touchstone grade --report` writes."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
import torch
import typer
from torch import Tensor
from typer.testing import CliRunner

from cli.errors import CliError
from cli.grade import grade
from cli.main import main
from cli.report.calibration import coverage, distribution, reliability
from cli.report.chart import linear, logarithmic, shares
from cli.report.confusion import confusion, expected_counts
from cli.report.entropy import entropy, undecided
from cli.report.figure import Figure, short
from cli.report.headline import headline
from cli.report.history import history
from cli.report.page import render
from cli.report.respondents import SHOWN, respondents
from cli.report.study import LONGEST, Study, clip
from consensus.answers import Answers
from consensus.form import form_for
from consensus.registry import MODELS, get
from consensus.scores import score
from consensus.simulation import simulate
from tests.unit.consensus.crowds import answers_of

FIGURES = (reliability, coverage, distribution, confusion, respondents, entropy, history)
MEGABYTE = 10**6

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(grade)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def study_of(answers: Answers, truth: Tensor | None = None, model: str = "majority", key: str = "") -> Study:
    """Keys are numbers behind `key`."""
    chosen = get(model)
    fit = chosen.fit(answers)
    I, J, K = ([f"{key}{number}" for number in range(size)] for size in (answers.I, answers.J, answers.K))
    scores = None if truth is None else score(fit.published, truth)
    return Study("crowd.csv", answers, I, J, K, chosen, form_for(answers.K), fit, truth, scores)


def simulated(model: str = "dawid-skene", classes: int = 3) -> Study:
    crowd = simulate(5, challenges=150, classes=classes, answers=900, respondents=30)
    return study_of(crowd.answers, crowd.truth, model)


@pytest.fixture(scope="module")
def study() -> Study:
    torch.set_num_threads(1)
    return simulated()


class Reader(HTMLParser):
    """The tags, attributes and text of a page; complains of tags that do not close in order."""

    EMPTY = {"meta", "link"}

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def column(figure: Figure, name: str) -> list[float]:
    """The numbers of a column of a figure's table; shares as shares."""
    table = figure.tables[0]
    cells = [row[table.head.index(name)].replace(",", "") for row in table.rows]
    return [float(cell.removesuffix("%")) / (100 if cell.endswith("%") else 1) for cell in cells]


@pytest.mark.parametrize("make", FIGURES)
def test_every_figure_has_a_plot_one_sentence_and_numbers(study: Study, make) -> None:  # type: ignore[no-untyped-def]
    figure = make(study)

    assert figure.charts
    assert all(fromstring(chart).get("aria-label") for chart in figure.charts)
    assert re.fullmatch(r"[A-Z][^.]*(\d\.\d[^.]*)*\.", figure.caption)
    assert all(len(row) == len(table.head) for table in figure.tables for row in table.rows)
    assert figure.tables[0].rows


@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_reported(model: str) -> None:
    page = Reader(render(simulated(model, classes=2)))

    assert page.tags.count("figure") == page.tags.count("figcaption") == 6
    assert model in page.text


def test_the_page_needs_nothing_else(study: Study) -> None:
    page = render(study)

    assert not {"script", "img", "iframe", "object"} & set(Reader(page).tags)
    assert not re.search(r"https?:|url\(|@import|\bsrc=|\son\w+=", page)
    assert "default-src 'none'" in page


def test_keys_are_text() -> None:
    crowd = simulate(5, challenges=20, classes=2, answers=60, respondents=8)
    key = "<script src=//evil>&amp;\"'</td></svg>"
    page = Reader(render(study_of(crowd.answers, key=key)))

    assert "script" not in page.tags
    assert "src" not in page.attributes
    assert page.text.count(key) > 20


def test_a_long_key_keeps_its_ends() -> None:
    key = "https://" + "x" * 100 + "/17"

    assert len(clip(key)) == LONGEST
    assert clip(key).startswith("https://")
    assert clip(key).endswith("x/17")
    assert clip("short") == "short"


def test_equal_studies_give_equal_pages(study: Study) -> None:
    assert render(study) == render(simulated())


def test_a_million_numbers_are_less_than_a_megabyte() -> None:
    I, J, K, N = 10_000, 20_000, 100, 40_000
    random = torch.Generator().manual_seed(1)
    item, annotator, label = (torch.randint(size, (N,), generator=random) for size in (I, J, K))
    truth = torch.randint(K, (I,), generator=random)
    page = render(study_of(Answers(item, annotator, label, I, J, K), truth, key="é" * 1000))

    assert len(page.encode()) < MEGABYTE
    assert f"{SHOWN} of 20,000 respondents" in page
    assert "of 9,900 mistakes" in page
    assert "é" * LONGEST not in page


def test_the_reliability_curve_has_the_bins_of_the_calibration_error(study: Study) -> None:
    figure = reliability(study)
    number, claimed, right = (column(figure, name) for name in ("Challenges", "Mean confidence", "Accuracy"))

    assert study.scores is not None
    assert sum(number) == study.scores.items
    gaps = sum(n * abs(p - q) for n, p, q in zip(number, claimed, right, strict=True))
    assert gaps / sum(number) == pytest.approx(study.scores.ece, abs=0.001)


def test_the_coverage_curve_ends_at_the_accuracy(study: Study) -> None:
    figure = coverage(study)

    assert study.scores is not None
    assert column(figure, "Most confident")[-1] == 1
    assert column(figure, "Accuracy")[-1] == pytest.approx(study.scores.accuracy, abs=0.0005)
    assert column(figure, "Confidence at least") == sorted(column(figure, "Confidence at least"), reverse=True)


def test_challenges_of_equal_confidence_enter_together() -> None:
    answers = answers_of([(0, 0, 0), (1, 0, 0), (2, 0, 1), (3, 0, 1)], 4, 1, 2)
    figure = coverage(study_of(answers, torch.tensor([0, 1, 1, 1])))

    assert (column(figure, "Most confident"), column(figure, "Accuracy")) == ([1], [0.75])


def test_a_true_class_that_nobody_chose_is_a_miss_and_a_tie_is_split() -> None:
    study = study_of(answers_of([(0, 0, 0), (1, 0, 0), (1, 1, 1)], 3, 2, 2))
    with_truth = replace(study, truth=torch.tensor([2, 1, -1]))

    assert with_truth.known[1].tolist() == [0, 0.5]


def test_without_truth_the_distribution_of_confidence_stands_in() -> None:
    crowd = simulate(5, challenges=150, classes=3, answers=900, respondents=30)
    study = study_of(crowd.answers)
    page = render(study)

    assert "Reliability curve" not in page
    assert "Expected accuracy" in page
    assert sum(column(distribution(study), "Challenges")) == 150
    with pytest.raises(ValueError, match="truth: there is none"):
        reliability(study)


def test_expected_measures_are_what_the_posterior_says() -> None:
    answers = answers_of([(0, 0, 0), (0, 1, 1), (1, 0, 0)], 2, 2, 2)
    found = dict(headline(study_of(answers)).measures)

    assert found["Expected accuracy"] == "75.0%"
    assert found["Expected log loss"] == f"{torch.tensor(2.0).log() / 2:.4f}"
    assert found["Expected Brier score"] == "0.2500"
    assert found["Tied challenges"] == "1"


def test_the_confusion_is_that_of_the_statistics(study: Study) -> None:
    together = study.fit.statistics.sum(0).reshape(3, 3)

    assert torch.allclose(expected_counts(study), together)
    assert float(expected_counts(study).sum()) == pytest.approx(900)


def test_many_respondents_are_sampled_over_their_whole_range() -> None:
    volume = torch.arange(1, 1001)
    annotator = torch.arange(1000).repeat_interleave(volume)
    item = torch.cat([torch.arange(int(n)) for n in volume])
    answers = Answers(item, annotator, item % 2, 1000, 1000, 2)
    figure = respondents(study_of(answers))

    shown = column(figure, "Answers")
    assert (len(shown), shown[0], shown[-1]) == (SHOWN, 1000, 1)
    assert figure.charts[0].count("<circle") == SHOWN


def test_the_most_uncertain_challenges_are_named() -> None:
    triples = [(i, j, int(j < i % 3)) for i in range(30) for j in range(4)]
    table = undecided(study_of(answers_of(triples, 30, 4, 2)))

    assert [row[0] for row in table.rows] == [str(i) for i in range(2, 30, 3)]
    assert table.rows[0] == ("2", "0 (2 tied)", "50.0%", "1.00", "4")


def test_entropy_counts_every_challenge(study: Study) -> None:
    assert sum(column(entropy(study), "Challenges")) == 150


def test_a_long_history_is_thinned_and_a_model_without_one_says_so(study: Study) -> None:
    figure = history(study)
    assert column(figure, "Iteration")[-1] == study.fit.iterations
    assert figure.tables[0].rows[-1][1] == f"{study.fit.objective[-1]:,.4f}"

    nothing = history(simulated("majority"))
    assert not nothing.charts
    assert "majority does not iterate" in nothing.caption


def test_the_smallest_crowd() -> None:
    nothing = torch.zeros(1, dtype=torch.int64)
    page = Reader(render(study_of(Answers(nothing, nothing, nothing, 1, 1, 1), nothing)))

    assert "nan" not in page.text.lower()
    assert "-0.0" not in page.text


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 7), (-354_401.2, -352_088.9), (0.001, 0.0013), (3, 3), (1, 10**7)]
)
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    for axis in (linear("", low, high), linear("", low, high, room=True)):
        places = [axis.share(value) for value, _ in axis.ticks]
        assert 1 <= len(places) <= 9
        assert places == sorted(places)
        assert len({label for _, label in axis.ticks}) == len(places)
        assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)


def test_whole_ticks_and_shares() -> None:
    assert [label for _, label in linear("", 1, 2, whole=True).ticks] == ["1", "2"]
    assert [label for _, label in shares("", 0.5).ticks] == ["50%", "60%", "70%", "80%", "90%", "100%"]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (1, 100, ["1", "2", "5", "10", "20", "50", "100"]),
        (1, 10**4, ["1", "10", "100", "1,000", "10,000"]),
        (15, 42, ["15", "20", "25", "30", "35", "40"]),
        (1e-8, 1, ["10⁻⁸", "10⁻⁷", "10⁻⁶", "10⁻⁵", "10⁻⁴", "0.001", "0.01", "0.1", "1"]),
    ],
)
def test_logarithmic_ticks(low: float, high: float, labels: list[str]) -> None:
    axis = logarithmic("", low, high)

    assert [label for _, label in axis.ticks] == labels
    assert axis.share((low * high) ** 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("number", "text"), [(999, "999"), (1_499, "1.5k"), (95_500, "96k"), (999_999, "1.0M"), (2_500_000, "2.5M")]
)
def test_counts_are_short(number: int, text: str) -> None:
    assert short(number) == text


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "answers.csv"
    path.write_text("task,worker,label\na,1,x\na,2,y\na,3,x\nb,1,z\nb,2,z\n")
    return path


def test_grade_writes_the_report(answers: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("task,label\na,x\nb,unheard-of\n")
    report = tmp_path / "report.html"
    done = CliRunner().invoke(app, [str(answers), "--truth", str(truth), "--report", str(report)])

    assert done.exception is None
    text = Reader(report.read_text(encoding="utf-8")).text
    assert f"{tmp_path.name}/answers.csv" in text
    assert "Reliability curve" in text
    assert "50.0%" in text


@pytest.mark.parametrize(
    ("place", "message"), [("none/report.html", "No such file or directory"), ("", "Is a directory")]
)
def test_a_report_that_cannot_be_written_is_one_line_and_2(
    answers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["grade", str(answers), "--report", str(tmp_path / place)])

    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {tmp_path / place}: {message}\n"


def test_a_model_that_cannot_fit_says_so(answers: Path) -> None:
    done = CliRunner().invoke(app, [str(answers), "--model", "kos"])

    assert isinstance(done.exception, CliError)
    assert "kos is a model for two classes" in str(done.exception)
