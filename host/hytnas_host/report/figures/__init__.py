"""The figures of a report, each in a module of its own."""

from hytnas_datasets.targets import TARGETS
from hytnas_host.report.data import ReportData
from hytnas_host.report.figures import (
    agreement,
    breakdown,
    canary,
    curves,
    front,
    hypervolume,
    leaderboard,
    overview,
    spread,
    sustained,
)
from hytnas_host.report.figures.base import Drawing, FigureSpec, Size, Tooltip

__all__ = ["Drawing", "FigureSpec", "Size", "Tooltip", "describe_figures", "describe_overview"]


def describe_figures(data: ReportData) -> dict[str, FigureSpec]:
    """The figures this study has the data for, by key, in the order of the report."""
    described = (
        front.describe(data),
        hypervolume.describe(data),
        *(leaderboard.describe(data, target) for target in TARGETS.values()),
        *(curves.describe(data, target) for target in TARGETS.values()),
        *(agreement.describe_out_of_fold(data, target) for target in TARGETS.values()),
        agreement.describe_verification(data),
        spread.describe_spread(data),
        spread.describe_intervals(data),
        canary.describe(data),
        breakdown.describe_stages(data),
        breakdown.describe_operators(data),
        sustained.describe(data),
    )
    return {spec.key: spec for spec in described if spec is not None}


def describe_overview(data: ReportData) -> FigureSpec | None:
    """One picture of the whole study, for a README: front and leaderboard side by side."""
    return overview.describe(data)
