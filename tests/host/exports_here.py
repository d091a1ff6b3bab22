"""Exports in this process, which has torch already; what a pool's processes do, its own tests say."""

from concurrent.futures import Future
from pathlib import Path

from hytnas_datasets.plan import LayerPlan
from hytnas_host.export import ExportedModel, ExportError, ExportTarget

EXPORT_POOL = "hytnas_host.collect.exporting.ExportPool"
"""What a test replaces by ``PoolHere``."""


class PoolHere:
    """An export pool without processes: an export is done when it is submitted."""

    def __init__(self, workers: int | None = None, *, target: ExportTarget) -> None:
        self._target = target

    def submit(self, plan: LayerPlan, folder: Path, *, seed: int) -> Future[ExportedModel]:
        """Export a plan now."""
        from hytnas_host.export.pipeline import export_model  # torch is for who exports

        done: Future[ExportedModel] = Future()
        try:
            done.set_result(export_model(plan, folder, seed=seed, target=self._target))
        except ExportError as error:
            done.set_exception(error)
        return done

    def shutdown(self, *, cancel: bool = False) -> None:
        """Nothing goes on."""
