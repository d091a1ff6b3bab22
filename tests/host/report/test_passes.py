"""Tables and figures of what the passes found."""

from dataclasses import replace

import pytest

from hytnas_agent.pass_records import SustainedSeries, SustainedWindow
from hytnas_datasets.plan.profile import Breakdown
from hytnas_host.report.data import ReportData
from hytnas_host.report.figures import breakdown, describe_figures, sustained
from hytnas_host.report.page import build_report
from hytnas_host.report.passes import PassData, Profiled, SustainedRow, mean_breakdown, pass_tables


def test_there_is_a_table_for_each_kind_of_finding(synthetic):
    tables = pass_tables(synthetic.full_report().passes)
    assert [table.title.partition(",")[0] for table in tables] == [
        "Share of the time in each stage",
        "Share of the time by kind of operator",
        "Energy of one inference",
        "Latency under lasting load",
    ]
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    energy, lasting = tables[2], tables[3]
    assert energy.rows[0][1:5] == ("34.4 mJ", "12.2 mJ", "3.10 W", "2.00 W")
    assert "ina219 hwmon2" in energy.notes[0]
    assert lasting.rows[0][5] == "after 32 s (latency)"
    assert lasting.rows[1][5] == "no sign of it"


def test_shares_of_the_stages_add_up(synthetic):
    table = pass_tables(synthetic.full_report().passes)[0]
    assert table.columns[3:] == ("stem", "stage1", "stage2", "stage3", "stage4", "stage5", "head")
    for row in table.rows:
        assert sum(float(cell.split("\xa0")[0].split()[0]) for cell in row[3:]) == pytest.approx(100, abs=0.4)


def test_every_part_of_a_bar_says_what_it_is(synthetic):
    data = synthetic.full_report()
    figures = describe_figures(data)
    for key, marks in (("profile-stages", 3 * 7), ("profile-operators", 4 * 3 + 3 * 7)):
        for size in figures[key].sizes:
            tips = figures[key].draw(size).points["parts"]
            assert len(tips) == marks
    tips = figures["profile-stages"].draw(figures["profile-stages"].sizes[0]).points["parts"]
    assert [tip.title for tip in tips[:2]] == ["stem", "stage1"]
    assert tips[0].architecture == data.passes.profiles[0].model


def test_the_marks_in_the_page_are_as_many_as_their_tooltips(full_page):
    for key, marks in (("profile-stages", 21), ("profile-operators", 33)):
        figure = full_page[full_page.index(f'data-figure="{key}"') :]
        parts = figure[figure.index('data-s="parts"') : figure.index("</svg>")]
        assert parts.count("data-p=") == marks


def test_a_model_without_stages_has_its_operators_alone():
    data = ReportData(
        "files",
        passes=PassData((Profiled("file 0123", Breakdown({"whole": {"convolution": 2.0}}, 0.0, 1.0, 9)),)),
    )
    assert breakdown.describe_stages(data) is None
    assert breakdown.describe_operators(data) is None
    (table,) = pass_tables(data.passes)
    assert table.rows == (("file 0123", "2.00\xa0ms", "100.0\xa0%"),)


def test_nothing_is_drawn_of_nothing(synthetic):
    empty = synthetic.empty_report()
    assert pass_tables(empty.passes) == []
    assert sustained.describe(empty) is None
    assert "collect passes --profile" in build_report(empty)


def test_emulated_times_are_called_so(synthetic):
    windows = (SustainedWindow(1.0, 9, 20.0), SustainedWindow(2.0, 9, 20.0))
    data = ReportData(
        "emulated",
        passes=PassData(
            (Profiled("m", Breakdown({"stem": {"convolution": 2.0}}, 0.0, 1.0, 9), "emulated"),),
            sustained=(SustainedRow("m", SustainedSeries(windows, 20.0, 20.0), "emulated"),),
        ),
    )
    said = [spec.caption for key, spec in describe_figures(data).items()]
    assert len(said) == 3
    assert all("EMULATED" in caption for caption in said)
    assert all("EMULATED" in table.title for table in pass_tables(data.passes))


def test_the_mean_counts_what_a_model_does_not_have_as_nothing():
    one = Profiled("a", Breakdown({"stem": {"convolution": 2.0}}, 0.0, 0.0, 9))
    two = Profiled("b", Breakdown({"stem": {"softmax": 4.0}}, 0.0, 0.0, 9))
    assert mean_breakdown([one, two]) == {"stem": {"convolution": 1.0, "softmax": 2.0}}


def test_a_latency_that_is_unstable_is_marked(synthetic):
    passes = synthetic.full_report().passes
    first, *others = passes.profiles
    table = pass_tables(replace(passes, profiles=(replace(first, unstable=True), *others)))[0]
    assert [row[2].endswith(", UNSTABLE") for row in table.rows] == [True] + [False] * len(others)
