"""Drawing networks uniformly from a space into the study, which is the journal they are resumed from."""

from collections.abc import Sequence

import numpy as np

from hytnas_datasets.errors import SpaceError, StudyError
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.store import Study

Network = tuple[Architecture, str]


def sample_networks(
    study: Study, space: Space, n: int, task: Task, *, purpose: str, seed: int
) -> list[Network]:
    """The first ``n`` distinct networks of the sample of ``purpose``, drawn and recorded where they lack.

    Architectures are drawn uniformly without replacement; of those that give the same network (equal plan
    hash) only the first is kept, and more are drawn until there are ``n`` networks. The same seed and the
    same sequence of sizes give the same sample.

    Parameters
    ----------
    n : int
        Networks in all, those of earlier calls included.
    seed : int

    Returns
    -------
    list of n (Architecture, plan hash), in sampled order

    Raises
    ------
    SpaceError
        The space holds fewer than ``n`` distinct networks.
    StudyError
        The recorded sample is one of another task.
    """
    networks = [(a, h) for a, h in study.architectures.of(purpose) if a.space == space.name][:n]
    if any(build_plan(architecture, task).hash != plan_hash for architecture, plan_hash in networks):
        raise StudyError(
            f"the sample of {study.folder} was drawn for another resolution or number of classes",
            "Use a study folder of its own for each task",
        )
    if len(networks) < n:
        rng = np.random.default_rng([seed, len(networks)])
        drawn = _draw(space, n - len(networks), task, known=networks, rng=rng)
        study.architectures.add(space, [a for a, _ in drawn], [h for _, h in drawn], purpose)
        networks += drawn
    return networks


def _draw(
    space: Space, n: int, task: Task, *, known: Sequence[Network], rng: np.random.Generator
) -> list[Network]:
    seen = {plan_hash for _, plan_hash in known}
    tried = [architecture for architecture, _ in known]
    drawn: list[Network] = []
    while len(drawn) < n:
        wanted = min(n - len(drawn), space.size - len(tried))
        if wanted <= 0:
            raise SpaceError(
                f"the space {space.name} holds only {len(known) + len(drawn)} distinct networks at this task",
                f"ask for at most {len(known) + len(drawn)}",
            )
        batch = space.sample(wanted, rng, exclude=tried)
        tried += batch
        for architecture in batch:
            plan_hash = build_plan(architecture, task).hash
            if plan_hash not in seen:
                seen.add(plan_hash)
                drawn.append((architecture, plan_hash))
    return drawn
