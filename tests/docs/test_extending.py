"""What the page on extending shows can be run, and what it names is there."""

import importlib
import re
from pathlib import Path

import pytest

from hytnas_agent.runtimes.registry import RUNTIMES
from hytnas_datasets.families.registry import FAMILIES
from hytnas_datasets.spaces.registry import SPACES
from hytnas_host.search import STRATEGIES, conformance
from hytnas_host.search.acquisition import ACQUISITIONS
from hytnas_host.search.initial import DESIGNS
from hytnas_host.search.selection import SELECTIONS
from hytnas_host.search.surrogates import SURROGATES
from hytnas_predictors.estimators import ESTIMATORS

TEXT = (Path(__file__).parents[2] / "docs/guide/extending.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
PART_OF_SEARCH = TEXT.partition("## Part of a Bayesian search")[2].partition("## ")[0]
PARTS = (SURROGATES, ACQUISITIONS, SELECTIONS, DESIGNS)
REGISTRIES = (SPACES, FAMILIES, RUNTIMES, ESTIMATORS, STRATEGIES)


@pytest.mark.parametrize("block", BLOCKS)
def test_its_examples_run(block):
    exec(compile(block, "extending.md", "exec"), {"__name__": "extending"})


def test_it_names_every_group_of_entry_points():
    assert re.findall(r'entry-points\."(.+)"\]', TEXT) == [
        registry.group for registry in (*REGISTRIES, *PARTS)
    ]


def test_the_suites_it_names_are_there():
    named = re.findall(r"`(hytnas_[a-z_.]+\.conformance)`", TEXT)
    named.remove(conformance.__name__)
    assert len(named) == len(REGISTRIES)
    suites = re.findall(r"`([A-Z]+_CHECKS)`", PART_OF_SEARCH)
    assert len(suites) == len(PARTS)
    assert all(getattr(conformance, name) for name in suites)
    assert all(importlib.import_module(name).CHECKS for name in named)
