"""What a leaderboard compares on: labelled architectures of a space, and model files from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.work import WORK_COLUMNS
from hytnas_predictors.features import FeatureSet
from hytnas_predictors.intervals import group_codes
from hytnas_predictors.leaderboard.trial import feature_tables
from hytnas_predictors.predictor import WorkRows
from hytnas_predictors.recipes import Recipe

Floats = NDArray[np.float64]
WORK: tuple[FeatureSet, ...] = ("work",)


@dataclass(frozen=True)
class Rows:
    """n labels and what predictors and baselines see of their networks.

    Attributes
    ----------
    y : (n,) float64
    groups : (n,) int64
        Network of each row, numbered from 0.
    titles : tuple of n str
        Ids of architectures, and names of files.
    repeats : tuple of n (r_i,) float64 arrays
    tables : dict
        (n, d) features by feature sets.
    log_macs : (n,) float64
        Logarithms of the multiply-accumulates of work columns; empty without model files.
    """

    y: Floats
    groups: NDArray[np.int64]
    titles: tuple[str, ...]
    repeats: tuple[Floats, ...]
    tables: dict[tuple[FeatureSet, ...], Floats]
    log_macs: Floats

    @property
    def networks(self) -> int:
        """Number of different networks."""
        return len(set(self.groups.tolist()))


def gather_rows(labelled: LabelledSet, recipes: Sequence[Recipe], more: WorkRows | None) -> Rows:
    """The labels of a space as rows, and those of model files below them.

    Rows of one network share a group: those of one layer plan, or where none is known of one architecture.
    Among model files a network is known by its work alone, so that rows of equal work share a group then.

    Parameters
    ----------
    labelled : LabelledSet
    recipes : sequence of Recipe
        Whose features are made; with ``more``, the feature set "work" alone.
    more : WorkRows or None
    """
    titles = tuple(labelled.space.format(each) for each in labelled.architectures)
    tables = feature_tables(labelled, recipes)
    if more is None:
        pairs = zip(labelled.plan_hashes, titles, strict=True)
        groups = group_codes([plan_hash or title for plan_hash, title in pairs])
        return Rows(labelled.y, groups, titles, labelled.repeats, tables, np.empty(0))
    work = np.vstack([tables[WORK], more.x])
    macs = work[:, [name.endswith(" macs") for name in WORK_COLUMNS]].sum(axis=1)
    return Rows(
        y=np.concatenate([labelled.y, more.y]),
        groups=np.unique(work, axis=0, return_inverse=True)[1].ravel().astype(np.int64),
        titles=(*titles, *more.names),
        repeats=(*labelled.repeats, *more.repeats),
        tables={WORK: work},
        log_macs=np.log1p(macs),
    )
