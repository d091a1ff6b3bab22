"""Figures as files: present in both formats, parseable, deterministic, and true to the data."""

import struct
import xml.etree.ElementTree as ET
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from hytnas_host.report import svg, write_figures
from hytnas_host.report.figures import describe_figures, describe_overview
from hytnas_host.report.figures.base import Size, new_axes, series

KEYS = {
    "front",
    "hypervolume",
    "leaderboard-latency",
    "leaderboard-accuracy",
    "agreement-latency",
    "agreement-accuracy",
    "verification",
    "spread",
    "intervals",
    "canary",
    "profile-stages",
    "profile-operators",
    "sustained",
}


@pytest.fixture(scope="module")
def written(synthetic, tmp_path_factory):
    return write_figures(synthetic.full_report(), tmp_path_factory.mktemp("figures"))


def test_every_figure_is_written_as_png_and_svg(written):
    assert {path.name for path in written} == {
        f"{k}.{s}" for k in KEYS | {"overview"} for s in ("png", "svg")
    }
    for path in written:
        if path.suffix == ".png":
            head = path.read_bytes()[:24]
            assert head[:8] == b"\x89PNG\r\n\x1a\n"
            width, height = struct.unpack(">II", head[16:24])
            assert min(width, height) > 300
        else:
            root = ET.parse(path).getroot()
            assert root.tag == f"{{{svg.SVG}}}svg"
            assert float(root.get("width")) > 300


def test_the_same_data_give_the_same_files(synthetic, written, tmp_path):
    data = replace(synthetic.full_report(), leaderboards=(), spreads=(), canary=())
    again = write_figures(data, tmp_path)
    assert {path.stem for path in again} == {
        "front",
        "hypervolume",
        "verification",
        "profile-stages",
        "profile-operators",
        "sustained",
    }
    for path in again:
        assert path.read_bytes() == next(p for p in written if p.name == path.name).read_bytes()


def test_an_empty_study_has_no_figures(synthetic, tmp_path):
    assert write_figures(synthetic.empty_report(), tmp_path / "figures") == []
    assert describe_overview(synthetic.empty_report()) is None


def test_marks_stand_in_the_order_of_the_data():
    axes = new_axes(Size(300, 200), left=20)
    axes.set_xlim(0, 10)
    series(axes, "dots", [7.0, 1.0, 4.0], [0.5, 0.5, 0.5], area=[20.0, 30.0, 40.0])
    root = svg.render(axes.figure, "key")
    group = next(g for g in root.iter(f"{{{svg.SVG}}}g") if g.get("data-s") == "dots")
    marks = [mark for mark in group.iter() if mark.get("data-p") is not None]
    assert [mark.get("data-p") for mark in marks] == ["0", "1", "2"]
    lefts = [float(mark.get("d").split()[1]) for mark in marks]
    assert np.argsort(lefts).tolist() == [1, 2, 0]


def test_boards_are_told_apart_in_the_canary_figure(synthetic):
    data = synthetic.full_report()
    (board,) = data.canary
    twice_as_slow = tuple(replace(point, median_ms=2 * point.median_ms) for point in board.points)
    spec = describe_figures(
        replace(data, canary=(board, replace(board, device="pi2", points=twice_as_slow)))
    )["canary"]
    drawing = spec.draw(spec.sizes[0])
    (legend,) = [axes.get_legend() for axes in drawing.figure.axes]
    assert [text.get_text() for text in legend.get_texts()] == ["board", "pi2"]
    assert [tip.title for tip in drawing.points["canary1"]] == ["Canary on pi2"] * 20
    low, high = drawing.figure.axes[0].get_ylim()
    assert high == -low < 20, "each device is compared with itself"


def test_the_step_line_joins_only_what_no_other_beats(synthetic):
    data = synthetic.full_report()
    beaten = msgspec.structs.replace(data.search.front[0], architecture="beaten", values=(25.0, 0.5, 10.0))
    search = msgspec.structs.replace(data.search, front=(*data.search.front, beaten))
    spec = describe_figures(replace(data, search=search))["front"]
    figure = spec.draw(spec.sizes[0]).figure
    steps = max(figure.axes[0].lines, key=lambda line: len(line.get_xdata()))
    assert len(steps.get_xdata()) == len(data.search.front)
    assert np.all(np.diff(steps.get_ydata()) > 0)


@pytest.mark.parametrize("missing", ["ci_low_ms", "measured_ms"])
def test_rows_without_interval_or_measurement_are_no_obstacle(synthetic, missing):
    data = synthetic.full_report()
    rows = tuple(msgspec.structs.replace(row, **{missing: None}) for row in data.verification.rows)
    changed = replace(data, verification=msgspec.structs.replace(data.verification, rows=rows))
    figures = describe_figures(changed)
    assert ("verification" in figures) == (missing != "measured_ms")
    for spec in figures.values():
        for size in spec.sizes:
            spec.draw(size)


def test_tooltips_tell_prediction_from_measurement(synthetic):
    data = synthetic.full_report()
    spec = describe_figures(data)["front"]
    drawing = spec.draw(spec.sizes[0])
    tips = {tip.architecture: dict(tip.rows) for tip in drawing.points["front"]}
    for member in data.search.front:
        row = data.verified()[member.architecture]
        assert tips[member.architecture]["Predicted latency"].startswith(f"{member.values[0]:.3g}"[:3])
        assert tips[member.architecture]["Measured afresh"].startswith(f"{row.measured_ms:.3g}"[:3])
