"""From the data of a study to one self-contained page, and the figures as files beside it."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.targets import ACCURACY, TARGETS
from hytnas_host.report import svg, tables, theme
from hytnas_host.report.data import ReportData
from hytnas_host.report.figures import Drawing, FigureSpec, Size, describe_figures, describe_overview
from hytnas_host.report.measuring import quality_table
from hytnas_host.report.passes import pass_tables
from hytnas_host.report.verdict import pronounce

PNG_SCALE = 2

CONTENTS = (
    ("picks", "Picks"),
    ("front", "Front"),
    ("search", "Search"),
    ("leaderboard", "Predictors"),
    ("agreement", "Predicted against measured"),
    ("measurement", "Measurement"),
    ("passes", "Operators"),
    ("stages", "Time"),
    ("device", "Device"),
    ("data", "Data sheet"),
    ("reproduce", "Reproduce"),
)

DEFAULT_COMMANDS = ("hytnas-profile run",)


@dataclass(frozen=True)
class DrawnFigure:
    """A figure inlined in the page, in two widths, with the tooltips of its marks.

    ``drawing`` and ``vector`` are the wide one, from which `write_figures` makes files.
    """

    spec: FigureSpec
    wide: Markup
    narrow: Markup
    points: dict[str, list[dict[str, Any]]]
    drawing: Drawing
    vector: ET.Element


def draw_figures(data: ReportData) -> dict[str, DrawnFigure]:
    """The figures of a report by key, for the page and for files: to draw them takes most of the time."""
    return {key: _draw(spec) for key, spec in describe_figures(data).items()}


def build_report(data: ReportData, figures: Mapping[str, DrawnFigure] | None = None) -> str:
    """The report as one HTML document without any external reference; equal data give equal text.

    ``figures`` are those of `draw_figures`, which are drawn if they are not given.
    """
    figures = draw_figures(data) if figures is None else figures
    environment = Environment(
        loader=PackageLoader("hytnas_host.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sources = {
        name: Markup(_template_text(environment, f"report.{name}"))  # noqa: S704  # files of this package
        for name in ("css", "js")
    }
    named = {
        tip["architecture"]
        for figure in figures.values()
        for tips in figure.points.values()
        for tip in tips
        if tip["architecture"] is not None
    }
    return environment.get_template("report.html.j2").render(
        data=data,
        verdict=pronounce(data),
        execution_words=EXECUTION_WORDS[data.execution],
        figures=figures,
        light=Markup(theme.css_variables(theme.LIGHT)),  # noqa: S704  # constants of this package
        dark=Markup(theme.css_variables(theme.DARK)),  # noqa: S704  # constants of this package
        css=sources["css"],
        script=sources["js"],
        contents=CONTENTS,
        strip=tables.strip(data),
        picks=tables.pick_cards(data),
        search_facts=tables.search_facts(data),
        targets=tuple(TARGETS.values()),
        any_agreement=any(key == "verification" or key.startswith("agreement-") for key in figures),
        accuracy_predicted=data.leaderboard(ACCURACY) is not None,
        leaderboards=[tables.leaderboard_table(board) for board in data.leaderboards],
        verification=tables.verification_rows(data),
        verification_notes=tables.verification_notes(data),
        training_facts=tables.training_facts(data),
        quality=quality_table(data.qualities),
        pass_tables=pass_tables(data.passes),
        stages=tables.stage_rows(data),
        device_facts=tables.device_facts(data),
        coverage=tables.coverage_charts(data),
        commands=data.commands or DEFAULT_COMMANDS,
        points={
            "figures": {key: figure.points for key, figure in figures.items()},
            "choices": {name: data.choices[name] for name in sorted(named & data.choices.keys())},
        },
    )


def write_figures(
    data: ReportData, folder: Path, figures: Mapping[str, DrawnFigure] | None = None
) -> list[Path]:
    """Write every figure as PNG and SVG into ``folder``, and ``overview`` for a README; the files written.

    ``figures`` are those of `draw_figures`, which are drawn, in one width, if they are not given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if figures is None:
        drawn = {key: (spec, *_draw_wide(spec)) for key, spec in describe_figures(data).items()}
    else:
        drawn = {key: (each.spec, each.drawing, each.vector) for key, each in figures.items()}
    overview = describe_overview(data)
    if overview is not None:
        drawn[overview.key] = (overview, *_draw_wide(overview))
    written = []
    for key, (spec, drawing, tree) in drawn.items():
        vector, raster = folder / f"{key}.svg", folder / f"{key}.png"
        vector.write_text(svg.standalone(tree, spec.alt), encoding="utf-8")
        with mpl.rc_context(theme.RC):
            drawing.figure.savefig(
                raster, dpi=72 * PNG_SCALE, facecolor=theme.LIGHT["surface"], metadata={"Software": None}
            )
        written += [vector, raster]
    return written


def _template_text(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _draw_wide(spec: FigureSpec) -> tuple[Drawing, ET.Element]:
    drawing = spec.draw(spec.sizes[0])
    return drawing, svg.render(drawing.figure, spec.key)


def _draw(spec: FigureSpec) -> DrawnFigure:
    wide, narrow = spec.sizes
    drawing, vector = _draw_wide(spec)
    small = spec.draw(narrow)
    points = {
        name: [{"title": tip.title, "rows": tip.rows, "architecture": tip.architecture} for tip in tips]
        for name, tips in drawing.points.items()
    }
    return DrawnFigure(
        spec,
        _inline(spec, wide, drawing, vector),
        _inline(spec, narrow, small, svg.render(small.figure, _key(spec, narrow))),
        points,
        drawing,
        vector,
    )


def _key(spec: FigureSpec, size: Size) -> str:
    return f"{spec.key}-narrow" if size.narrow else spec.key


def _inline(spec: FigureSpec, size: Size, drawing: Drawing, tree: ET.Element) -> Markup:
    focusable = spec.focusable & drawing.points.keys()
    labels = {name: [tip.spoken() for tip in drawing.points[name]] for name in focusable}
    kind = "narrow" if size.narrow else "wide"
    text = svg.inline(tree, _key(spec, size), spec.alt, labels, kind=kind)
    return Markup(text)  # noqa: S704  # serialised by ElementTree, which escapes all text
