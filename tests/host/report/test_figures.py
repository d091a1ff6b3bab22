"""Figures as files: present in both formats, parseable, deterministic, and true to the data."""

import struct
import xml.etree.ElementTree as ET
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from matplotlib.colors import to_hex

from hytnas_host.report import svg, write_figures
from hytnas_host.report.figures import describe_figures, describe_overview
from hytnas_host.report.figures.base import Size, new_axes, series
from hytnas_host.report.theme import LIGHT

KEYS = {
    "front",
    "hypervolume",
    "leaderboard-latency",
    "leaderboard-accuracy",
    "curves-latency",
    "curves-accuracy",
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


def faces(figure, series_name: str) -> list[str]:
    """The colours that the marks of a series are filled with."""
    (collection,) = (
        collection
        for axes in figure.axes
        for collection in axes.collections
        if collection.get_gid() == f"series:{series_name}"
    )
    return [to_hex(face) for face in collection.get_facecolors()]


def test_unstable_labels_are_hollow_wherever_they_are_drawn_and_counted_in_the_caption(synthetic):
    data = synthetic.full_report()
    specs = describe_figures(data)
    labels = sum(spread.unstable for spread in data.spreads)
    assert labels == synthetic.QUALITY.unstable
    for key, name in (("spread", "between"), ("intervals", "models"), ("agreement-latency", "labels")):
        filled = faces(specs[key].draw(specs[key].sizes[0]).figure, name)
        assert filled.count(LIGHT["surface"]) == labels, key
        assert f"Hollow: {labels} labels are UNSTABLE" in specs[key].caption
    drawn = faces(specs["verification"].draw(specs["verification"].sizes[0]).figure, "fronts")
    assert drawn.count(LIGHT["surface"]) == 1
    for key in ("verification", "front"):
        assert "Hollow: 1 label is UNSTABLE" in specs[key].caption
    front = specs["front"].draw(specs["front"].sizes[0])
    assert "UNSTABLE" in [text.get_text() for text in front.figure.axes[0].get_legend().get_texts()]
    measured = [dict(tip.rows)["Measured afresh"] for tip in front.points["front"]]
    assert [words.endswith("UNSTABLE") for words in measured].count(True) == 1


def test_without_unstable_labels_no_figure_speaks_of_them(synthetic):
    data = synthetic.full_report()
    rows = tuple(msgspec.structs.replace(row, outcome="OK") for row in data.verification.rows)
    data = replace(
        data,
        spreads=tuple(replace(spread, outcome="OK") for spread in data.spreads),
        verification=msgspec.structs.replace(data.verification, rows=rows),
    )
    assert not [spec.key for spec in describe_figures(data).values() if "UNSTABLE" in spec.caption]


def test_the_canary_figure_tells_what_was_discarded_and_when(synthetic):
    spec = describe_figures(synthetic.drifting(synthetic.full_report()))["canary"]
    for size in spec.sizes:
        drawing = spec.draw(size)
        (axes,) = drawing.figure.axes
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [
            "canary",
            "canary at a former speed",
            "canary during a drift",
            "timed then: discarded, measured again",
        ]
        counts = {name: len(tips) for name, tips in drawing.points.items()}
        assert counts == {"canary": 4, "canary-former": 10, "canary-drifted": 8}
        states = {name: dict(tips[0].rows).get("State") for name, tips in drawing.points.items()}
        assert states["canary"] is None
        assert "former speed" in states["canary-former"]
        assert "discarded" in states["canary-drifted"]
        assert set(faces(drawing.figure, "canary-former")) == {LIGHT["surface"]}
        stretches = [patch.get_extents().transformed(axes.transData.inverted()) for patch in axes.patches]
        assert [(round(s.x0, 1), round(s.x1, 1)) for s in stretches] == [(4.2, 8.5), (13.1, 17.5)]
    assert "2\u00a0spells of drift" in spec.caption
    assert "13\u00a0processes" in spec.caption
    assert "1\u00a0change of speed that lasted" in spec.caption


def test_the_band_of_the_canary_follows_a_new_speed(synthetic):
    spec = describe_figures(synthetic.drifting(synthetic.full_report()))["canary"]
    (axes,) = spec.draw(spec.sizes[0]).figure.axes
    bands = [
        collection.get_paths()[0].get_extents()
        for collection in axes.collections
        if to_hex(collection.get_facecolor()[0]) == LIGHT["band"]
    ]
    assert [((b.y0 + b.y1) / 2, b.y1 - b.y0) for b in bands] == [
        pytest.approx((0, 6)),
        pytest.approx((20, 6 * 1.2)),
    ]
    assert bands[0].x1 == bands[1].x0 == 18


def test_a_steady_canary_has_neither_legend_nor_spells(synthetic):
    spec = describe_figures(synthetic.full_report())["canary"]
    (axes,) = spec.draw(spec.sizes[0]).figure.axes
    assert axes.get_legend() is None
    assert not axes.patches
    assert "spell" not in spec.caption
    assert "lasted" not in spec.caption


@pytest.mark.parametrize("outcome", ["OK", "UNSTABLE"])
def test_the_overview_marks_a_pick_that_is_unstable(synthetic, outcome):
    data = synthetic.full_report()
    chosen = data.search.picks[0].architecture
    rows = tuple(
        msgspec.structs.replace(row, outcome=outcome if row.architecture == chosen else "OK")
        for row in data.verification.rows
    )
    spec = describe_overview(
        replace(data, verification=msgspec.structs.replace(data.verification, rows=rows))
    )
    texts = [text.get_text() for text in spec.draw(spec.sizes[0]).figure.texts]
    marked = [text for text in texts if text.endswith("\u2020")]
    assert bool(marked) == (outcome == "UNSTABLE")
    assert any("\u2020 UNSTABLE" in text for text in texts) == (outcome == "UNSTABLE")


def test_a_tooltip_says_what_is_doubtful_about_a_label(synthetic):
    data = synthetic.full_report()
    first, second, *rest = (replace(spread, outcome="OK") for spread in data.spreads)
    doubtful = replace(first, outcome="UNSTABLE", disturbed=True)
    spec = describe_figures(replace(data, spreads=(doubtful, second, *rest)))["spread"]
    titles = [tip.title for tip in spec.draw(spec.sizes[0]).points["within"]]
    assert titles[:2] == ["Measured model, UNSTABLE, measured while disturbed", "Measured model"]
