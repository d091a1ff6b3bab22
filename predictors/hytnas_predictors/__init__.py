"""Predictors: features, estimators, validation and the leaderboard, over any `LabelledSet`.

`build_leaderboard` says how well labels can be predicted, `fit_predictor` fits one predictor, and
`save_predictor` and `load_predictor` keep it, and `explain` takes a prediction apart. Names are imported
when they are first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hytnas_predictors.design import choose_networks as choose_networks
    from hytnas_predictors.errors import PredictorError as PredictorError
    from hytnas_predictors.errors import PredictorMismatchError as PredictorMismatchError
    from hytnas_predictors.estimators import Estimator as Estimator
    from hytnas_predictors.estimators import list_estimators as list_estimators
    from hytnas_predictors.estimators import make_estimator as make_estimator
    from hytnas_predictors.explanation import explain as explain
    from hytnas_predictors.explanation import unit_costs as unit_costs
    from hytnas_predictors.leaderboard import build_leaderboard as build_leaderboard
    from hytnas_predictors.leaderboard import write_csv as write_csv
    from hytnas_predictors.leaderboard.ceiling import noise_ceiling as noise_ceiling
    from hytnas_predictors.metrics import kendall_tau as kendall_tau
    from hytnas_predictors.metrics import mape as mape
    from hytnas_predictors.metrics import rmse as rmse
    from hytnas_predictors.metrics import spearman as spearman
    from hytnas_predictors.metrics import within_10_percent as within_10_percent
    from hytnas_predictors.persistence import load_predictor as load_predictor
    from hytnas_predictors.persistence import read_info as read_info
    from hytnas_predictors.persistence import save_predictor as save_predictor
    from hytnas_predictors.predictor import Prediction as Prediction
    from hytnas_predictors.predictor import Predictor as Predictor
    from hytnas_predictors.predictor import PredictorInfo as PredictorInfo
    from hytnas_predictors.predictor import fit_predictor as fit_predictor
    from hytnas_predictors.recipes import Recipe as Recipe
    from hytnas_predictors.recipes import default_estimator as default_estimator
    from hytnas_predictors.recipes import default_recipe as default_recipe
    from hytnas_predictors.result import Leaderboard as Leaderboard
    from hytnas_predictors.roofline import estimate_latency_ms as estimate_latency_ms
    from hytnas_predictors.transfer import transfer_predictor as transfer_predictor

_EXPORTS = {
    "hytnas_predictors.leaderboard.ceiling": ("noise_ceiling",),
    "hytnas_predictors.design": ("choose_networks",),
    "hytnas_predictors.errors": ("PredictorError", "PredictorMismatchError"),
    "hytnas_predictors.estimators": ("Estimator", "list_estimators", "make_estimator"),
    "hytnas_predictors.explanation": ("explain", "unit_costs"),
    "hytnas_predictors.leaderboard": ("build_leaderboard", "write_csv"),
    "hytnas_predictors.metrics": ("kendall_tau", "mape", "rmse", "spearman", "within_10_percent"),
    "hytnas_predictors.persistence": ("load_predictor", "read_info", "save_predictor"),
    "hytnas_predictors.predictor": ("Prediction", "Predictor", "PredictorInfo", "fit_predictor"),
    "hytnas_predictors.recipes": ("Recipe", "default_estimator", "default_recipe"),
    "hytnas_predictors.result": ("Leaderboard",),
    "hytnas_predictors.roofline": ("estimate_latency_ms",),
    "hytnas_predictors.transfer": ("transfer_predictor",),
}
__all__ = [name for names in _EXPORTS.values() for name in names]

if not TYPE_CHECKING:

    def __getattr__(name):
        from hytnas_agent.lazy import export  # noqa: PLC0415 (nothing is imported before it is needed)

        return export(__name__, _EXPORTS, name)

    def __dir__():
        return sorted({*globals(), *__all__})
