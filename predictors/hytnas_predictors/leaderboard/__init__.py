"""The leaderboard: predictors and baselines cross-validated on the same folds, with intervals and a verdict.

`build_leaderboard` makes one; what it leaves behind is in `hytnas_predictors.result`. Names are imported when
they are first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hytnas_predictors.leaderboard.build import FOLDED_FROM as FOLDED_FROM
    from hytnas_predictors.leaderboard.build import build_leaderboard as build_leaderboard
    from hytnas_predictors.leaderboard.build import to_rows as to_rows
    from hytnas_predictors.leaderboard.build import write_csv as write_csv

_EXPORTS = {
    "hytnas_predictors.leaderboard.build": (
        "FOLDED_FROM",
        "build_leaderboard",
        "to_rows",
        "write_csv",
    ),
}
__all__ = [name for names in _EXPORTS.values() for name in names]

if not TYPE_CHECKING:

    def __getattr__(name):
        from hytnas_agent.lazy import export  # noqa: PLC0415 (nothing is imported before it is needed)

        return export(__name__, _EXPORTS, name)

    def __dir__():
        return sorted({*globals(), *__all__})
