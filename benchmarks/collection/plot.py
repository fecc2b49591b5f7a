"""The trade-off of each set and method as one SVG picture."""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from benchmarks.collection.curves import Point, frontier
from cli.report.chart import WIDTH, Chart, linear, logarithmic

COLUMNS = 3
HEIGHT = 340
SCALE = 0.5
LEGEND = 26
COLOURS = {
    "touchstone": "#0b5cad",
    "fixed_n_touchstone": "#58a6d6",
    "fixed_n": "#888888",
    "first_n_agree": "#c2811f",
    "dynamic_overlap": "#2f8f5b",
    "swap": "#a8417f",
}
STYLE = """
svg { font: 12px system-ui, sans-serif; background: #ffffff; }
text { fill: #333333; } .middle { text-anchor: middle; } .end { text-anchor: end; }
.tick { font-size: 16px; } .label { font-size: 17px; font-weight: 600; } .legend { font-size: 12px; }
.grid { stroke: #e4e4e4; } .axis { stroke: #777777; } path { fill: none; stroke-width: 3; stroke-linejoin: round; }
"""


def draw(curves: Mapping[str, Mapping[str, Sequence[Point]]]) -> str:
    """Error over answers for each set: a panel each, a line for each method's best settings."""
    width, height = WIDTH * SCALE, HEIGHT * SCALE
    rows = -(-len(curves) // COLUMNS)
    size = {"width": f"{width * COLUMNS:g}", "height": f"{LEGEND + height * rows:g}"}
    picture = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size})
    colours = "".join(f".{name} {{ stroke: {colour}; }}\n" for name, colour in COLOURS.items())
    SubElement(picture, "style").text = STYLE + colours
    for number, (name, colour) in enumerate(COLOURS.items()):
        place = {"x": f"{10 + 155 * number}", "y": "17", "class": "legend", "style": f"fill: {colour}"}
        SubElement(picture, "text", place).text = name.replace("_", " ")
    for number, (name, methods) in enumerate(curves.items()):
        panel = fromstring(_panel(name, methods))
        row, column = divmod(number, COLUMNS)
        panel.attrib.update(x=f"{column * width:g}", y=f"{LEGEND + row * height:g}", width=f"{width:g}")
        panel.set("height", f"{height:g}")
        picture.append(panel)
    return tostring(picture, encoding="unicode") + "\n"


def _panel(name: str, methods: Mapping[str, Sequence[Point]]) -> str:
    points = [point for curve in methods.values() for point in curve]
    most, worst = max(point.answers for point in points), max(point.error for point in points)
    chart = Chart(
        name,
        logarithmic("answers to a challenge", 1.0, max(most, 2.0)),
        linear(f"{name}: % wrong", 0.0, 100 * worst, 4, room=True),
        height=HEIGHT,
    )
    for method in reversed(COLOURS):
        if method in methods:
            front = frontier(methods[method])
            chart.line([(point.answers, 100 * point.error) for point in front], method)
            for point in front:
                chart.dot((point.answers, 100 * point.error), f"{method} at {point.setting:g}", method, radius=3.0)
    return str(chart.markup())
