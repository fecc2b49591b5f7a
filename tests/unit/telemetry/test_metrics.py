import re

from prometheus_client import Counter, Gauge, Histogram

from telemetry import metrics

DECLARED = {name: value for name, value in vars(metrics).items() if isinstance(value, Counter | Gauge | Histogram)}


def test_every_name_is_ours_and_says_its_unit() -> None:
    assert DECLARED
    for constant, metric in DECLARED.items():
        (family,) = metric.describe()
        assert re.fullmatch(r"touchstone_[a-z_]+", family.name)
        assert family.name == f"touchstone_{constant.lower()}"
        assert family.documentation.endswith(".")
        if isinstance(metric, Histogram):
            assert family.name.endswith(("_seconds", "_bodies"))


def test_no_label_names_someone() -> None:
    labels = {label for metric in DECLARED.values() for label in metric._labelnames}
    assert labels <= {"method", "route", "status", "lane", "outcome", "model", "state", "limit"}
