"""The report in a real browser: nothing is fetched, no script is needed, both themes can be read."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from cli.main import main

CHROMIUM = Path("/usr/bin/chromium")
KEY = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on 60 challenges and 15 respondents, with truth."""
    rng = random.Random(3)
    folder = tmp_path_factory.mktemp("report")
    answers, truth, page = folder / "answers.csv", folder / "truth.csv", folder / "report.html"
    right = {f"{KEY}{c}": rng.choice(("cat", "dog", "heron")) for c in range(60)}
    rows = [
        f"{challenge},r{r},{answer if rng.random() < 0.5 + r / 40 else rng.choice(('cat', 'dog', 'heron'))}\n"
        for challenge, answer in right.items()
        for r in range(15)
    ]
    answers.write_text("challenge,respondent,answer\n" + "".join(rows))
    truth.write_text("challenge,answer\n" + "".join(f"{challenge},{answer}\n" for challenge, answer in right.items()))
    with pytest.raises(SystemExit, match="0"):
        main(["grade", str(answers), "--truth", str(truth), "--report", str(page)])
    return page


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Page]:
    """The page in one theme, without scripts; anything that it fetches or complains of is an error."""
    context = browser.new_context(color_scheme=request.param, java_script_enabled=False)
    page = context.new_page()
    fetched: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda sent: fetched.append(sent.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(report.as_uri())
    yield page
    assert [url for url in fetched if not url.startswith("data:")] == [report.as_uri()]
    assert complaints == []
    context.close()


def test_every_plot_is_seen_and_its_numbers_open_by_keyboard(page: Page) -> None:
    figures = page.get_by_role("figure")
    assert figures.count() == 6
    for figure in figures.all():
        assert figure.get_by_role("heading").inner_text()
        for plot in figure.get_by_role("img").all():
            box = plot.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) > 100
        table = figure.get_by_role("table")
        assert table.count() == 0
        figure.locator("summary").press("Enter")
        assert table.first.is_visible()


def test_keys_are_shown_as_they_are(page: Page) -> None:
    assert page.locator("main img").count() == 0
    assert page.get_by_role("rowheader", name=KEY).count() > 0


def test_text_stands_out_from_what_is_behind_it(page: Page) -> None:
    """Contrast of at least 4.5 (WCAG 2.2, AA)."""
    behind = _style(page, "figure", "background-color")
    for selector in ("h2", "figcaption p", ".note", "summary", "thead th"):
        assert _contrast(_style(page, f"figure {selector}", "color"), behind) >= 4.5, selector
    for selector in (".tick", ".label", ".count"):
        assert _contrast(_style(page, f"figure {selector}", "fill"), behind) >= 4.5, selector
    assert _contrast(_style(page, ".cell", "fill"), _style(page, ".heat", "fill")) >= 4.5


@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_runs_off_the_page(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for block in page.locator("header, figure, section").all():
        box = block.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def _style(page: Page, selector: str, name: str) -> str:
    found = page.locator(selector).first.evaluate("(node, name) => getComputedStyle(node).getPropertyValue(name)", name)
    return str(found)


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
