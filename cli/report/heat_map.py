"""A square of shares as shades: what the rows are, what the columns say."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from markupsafe import Markup

from cli.report.chart import CHARACTER, WIDTH, add, canvas, markup
from cli.report.study import clip

WRITTEN = 12
"""Up to so many classes each cell has its number in it."""

SHADES = 24
LINE = 14
LONGEST = 18
TOP, RIGHT = 30.0, 16.0
STEPS = (0.01, 0.1, 0.25, 0.5, 1.0)

Rows = Sequence[Sequence[float]]


def heat_map(title: str, rows: Rows, names: Sequence[str]) -> Markup:
    """Rows of shares, drawn as the square root of the share; as many columns as rows."""
    size = len(names)
    labels = [clip(name, LONGEST) for name in names]
    longest = CHARACTER * max(map(len, labels))
    left = 24 + longest
    width = (WIDTH - RIGHT - left) / size
    turned = size <= WRITTEN and longest > width - 4
    height = min(width, max(42.0, 250 / size) if size <= WRITTEN else width)
    bottom = TOP + size * height
    below = 26 + (0.65 * longest if turned else 0)
    svg = canvas(title, bottom + below + 42)
    add(svg, "text", "label", x=6, y=16).text = "True class"
    for k in range(0, size, -(-LINE // max(1, int(height)))):
        add(svg, "text", "tick end", x=left - 8, y=TOP + (k + 0.5) * height + 4).text = labels[k]
    for k in range(0, size, 1 if size <= WRITTEN else int(max(longest, LINE) / width) + 1):
        x, y = left + (k + 0.5) * width, bottom + LINE
        if turned:
            turn = f"rotate(-40 {x:.1f} {y:.1f})"
            add(svg, "text", "tick end", x=x + 4, y=y, transform=turn).text = labels[k]
        elif x + CHARACTER * len(labels[k]) / 2 < WIDTH:
            add(svg, "text", "tick middle", x=x, y=y + 2).text = labels[k]
    add(svg, "text", "label", x=left, y=bottom + below + 24).text = "Answer"
    draw = _written if size <= WRITTEN else _shaded
    draw(svg, rows, names, (left, width, height))
    _legend(svg, bottom + below + 12)
    return markup(svg)


def _written(svg: Element, rows: Rows, names: Sequence[str], place: tuple[float, float, float]) -> None:
    left, width, height = place
    for k, row in enumerate(rows):
        for label, share in enumerate(row):
            x, y = left + label * width, TOP + k * height
            cell = _cell(svg, x, y, width - 2, height - 2, share)
            SubElement(cell, "title").text = f"{names[k]} answered {names[label]}: {share:.1%}"
            text = f"{share:.1%}" if width >= 50 else f"{100 * share:.0f}"
            add(svg, "text", "cell middle", x=x + width / 2 - 1, y=y + height / 2 + 3).text = text


def _shaded(svg: Element, rows: Rows, names: Sequence[str], place: tuple[float, float, float]) -> None:  # noqa: ARG001
    """One path for each shade: ten thousand cells are then a hundred kilobytes."""
    left, width, height = place
    add(svg, "rect", "frame", x=left, y=TOP, width=len(rows) * width, height=len(rows) * height)
    cells: dict[int, list[str]] = {}
    for k, row in enumerate(rows):
        for label, share in enumerate(row):
            cells.setdefault(round(SHADES * share**0.5), []).append(f"M{label} {k}h1v1h-1z")
    scale = f"translate({left:.1f} {TOP:.1f}) scale({width:.4f} {height:.4f})"
    for shade, drawn in sorted(cells.items()):
        if shade:
            add(svg, "path", "heat", d="".join(drawn), transform=scale, **{"fill-opacity": f"{shade / SHADES:.3f}"})


def _legend(svg: Element, y: float) -> None:
    x = WIDTH - RIGHT - 74.0 * len(STEPS)
    for share in STEPS:
        _cell(svg, x, y, 24, 16, share)
        add(svg, "text", "tick", x=x + 29, y=y + 12).text = f"{share:.0%}"
        x += 74


def _cell(svg: Element, x: float, y: float, width: float, height: float, share: float) -> Element:
    place = {"x": x, "y": y, "width": width, "height": height}
    add(svg, "rect", "frame", **place)
    return add(svg, "rect", "heat", **place, **{"fill-opacity": f"{share**0.5:.3f}"})
