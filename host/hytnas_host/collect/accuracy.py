"""Accuracy labels: train a uniform sample of a space briefly on real images, resumably."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.store import AccuracyRecord, Purpose, Study, recipe_fingerprint
from hytnas_host.collect.budget import TimeBudget
from hytnas_host.collect.sampling import sample_networks
from hytnas_host.training.data import CHANNELS, INTERPOLATION, ImageData
from hytnas_host.training.pool import training_pool
from hytnas_host.training.recipe import TrainingError, TrainingRecipe
from hytnas_host.training.sources import DIGITS, load_images, remembered_images
from hytnas_host.training.train import HostWork, train_network
from hytnas_predictors.progress import Progress, ProgressFactory, SilentProgress

MAX_DEFAULT_WORKERS = 8
CHECKPOINTS = "trainings"
"""Folder of a study for trainings that are not over."""
SEEDS_PER_RUN = 1000
"""Training seeds of one run seed: seed ``k`` of run seed ``s`` is ``1000 s + k``."""


class AccuracyJob(msgspec.Struct, frozen=True):
    """One training of one network from one seed."""

    architecture: Architecture
    plan_hash: str
    seed: int


class TrainingWork(msgspec.Struct, frozen=True):
    """What all trainings of a collection share; ``checkpoints`` is where long ones are kept meanwhile."""

    recipe: TrainingRecipe
    source: str = DIGITS
    skip_unreadable: bool = False
    checkpoints: Path | None = None

    def checkpoint(self, job: AccuracyJob) -> Path | None:
        """The file of a training that is not over."""
        if self.checkpoints is None:
            return None
        return self.checkpoints / f"{job.plan_hash}-{job.seed}.safetensors"


class AccuracyCollection(msgspec.Struct, frozen=True):
    """What the study holds after a collection, for this space and recipe.

    Accuracies are fractions. ``between_networks`` is the standard deviation of the first seed's accuracies
    over networks, ``within_network`` the pooled one over the seeds of a network (``None`` without repeats);
    ``chance`` is what always answering the most frequent class scores. ``verdict`` says in words what the
    labels are worth. ``left_out`` networks were not trained, because there was no time for them.
    """

    networks: int
    trainings: int
    new_trainings: int
    failed: int
    lowest: float | None
    mean: float | None
    highest: float | None
    between_networks: float | None
    within_network: float | None
    chance: float
    label: str
    verdict: str
    left_out: int = 0


def collect_accuracy(
    study: Study,
    space: Space,
    n: int,
    *,
    repeated: int = 5,
    seeds: int = 3,
    recipe: TrainingRecipe | None = None,
    source: str = DIGITS,
    skip_unreadable: bool = False,
    seed: int = 0,
    progress: ProgressFactory = SilentProgress,
    host_work: HostWork = nullcontext,
    workers: int | None = None,
    executor: Executor | None = None,
    budget: TimeBudget | None = None,
) -> AccuracyCollection:
    """Train ``n`` networks drawn uniformly from ``space`` and store their accuracies.

    The first ``repeated`` of the sample, which are as random as the others, are trained from ``seeds`` seeds
    each, so that the noise of the label is known. Every training is stored as soon as it ends; a call that
    was killed is called again with the same arguments and goes on, and what it then holds is the same.

    Parameters
    ----------
    n : int
        Networks in all, those of earlier calls included.
    recipe : TrainingRecipe, optional
        The default recipe where it is missing.
    source : str
        Where the images come from; see `hytnas_host.training.load_images`.
    skip_unreadable : bool
        Leave out images that cannot be decoded.
    host_work : picklable callable giving a context manager
        Held for each training step; blocks while a timed run needs the machine.
    workers : int, optional
        Processes of one thread each; by default one for each processor (at most 8); 1 trains in this
        process.
    executor : Executor, optional
        Trains in place of ``workers`` processes, e.g. on other machines. It stays open.
    budget : TimeBudget, optional
        Once it is over, no more networks are begun; those that were are repeated until its grace is over.

    Raises
    ------
    SpaceError, PlanError
        The space holds fewer than ``n`` networks, or one cannot be built at the recipe's resolution.
    TrainingError
        A training process died, or nothing can be trained on these images.
    """
    recipe = recipe or TrainingRecipe()
    work = TrainingWork(recipe, source, skip_unreadable, study.folder / CHECKPOINTS)
    data = load_images(source, recipe, skip_unreadable=skip_unreadable, progress=progress)
    task = Task(resolution=recipe.resolution, in_channels=CHANNELS, classes=data.classes)
    networks = sample_networks(study, space, n, task, purpose=Purpose.ACCURACY, seed=seed)
    jobs = plan_jobs(networks, repeated=repeated, seeds=seeds, seed=seed)
    done = study.accuracies.keys()
    fingerprints = (recipe_fingerprint(recipe.as_dict()), data.fingerprint)
    pending = [job for job in jobs if (job.plan_hash, job.seed, *fingerprints) not in done]
    count = min(_default_workers() if workers is None else workers, len(pending))
    new = {job.plan_hash for job in pending if job.seed == SEEDS_PER_RUN * seed}
    chosen = _Affordable(pending, budget or TimeBudget(), new=new, trained=n - len(new))
    with (
        _executor(executor, count) as pool,
        progress("Training", total=len(jobs), done=len(jobs) - len(pending)) as bar,
    ):
        if others := _of_other_conditions(study, space, fingerprints):
            bar.event(
                f"The study holds {others} accuracies of other images or of another recipe. leaderboard and "
                "train refuse to mix them: better give each its own study (--study)"
            )
        # Where time is short nothing waits with the executor: what was handed over is trained to its end.
        ahead = max(count, 1) * (2 if budget is None else 1)
        for job, record in _train_all(chosen, work, host_work, pool=pool, ahead=ahead, data=data):
            study.accuracies.add(record)
            chosen.end(record)
            _remove(work.checkpoint(job))
            _tell(bar, space, record)
    collection = summarise(study, jobs, recipe, data, new_trainings=chosen.begun)
    return msgspec.structs.replace(collection, left_out=len(new))


def _of_other_conditions(study: Study, space: Space, fingerprints: tuple[str, str]) -> int:
    """How many trainings of the space's networks were of another recipe or on other images."""
    return sum(
        (recipe_fingerprint(record.recipe), record.data_fingerprint) != fingerprints
        for record in study.accuracies.all()
        if record.architecture.space == space.name
    )


def plan_jobs(
    networks: list[tuple[Architecture, str]], *, repeated: int, seeds: int, seed: int
) -> list[AccuracyJob]:
    """Every training in the order they are done: all networks once, then the repeats.

    Raises TrainingError where the number of seeds is not between 1 and 1000.
    """
    if not 1 <= seeds <= SEEDS_PER_RUN:
        raise TrainingError(f"{seeds} training seeds were asked for", f"Take between 1 and {SEEDS_PER_RUN}")
    first = SEEDS_PER_RUN * seed
    once = [AccuracyJob(architecture, plan_hash, first) for architecture, plan_hash in networks]
    again = [
        AccuracyJob(architecture, plan_hash, first + k)
        for k in range(1, seeds)
        for architecture, plan_hash in networks[:repeated]
    ]
    return once + again


def describe_label(recipe: TrainingRecipe, data: ImageData) -> str:
    """What an accuracy of this recipe is an accuracy of, in one line."""
    epochs = f"{recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''}"
    tests = len(data.test_labels)
    left_out = f", {data.left_out} unreadable left out" if data.left_out else ""
    return (
        f"accuracy after {epochs} on {len(data.train_labels)} {data.name} ({INTERPOLATION} at "
        f"{recipe.resolution}x{recipe.resolution}{left_out}), test split of {tests} images; resolution of "
        f"the label 1/{tests}; "
        "so short a training ranks how fast networks learn this task, not how good they become"
    )


def train_job(job: AccuracyJob, work: TrainingWork, host_work: HostWork) -> AccuracyRecord:
    """One training as a record; runs in whatever process an executor puts it into."""
    return _train(job, work, host_work, remembered_images(work.source, work.recipe, work.skip_unreadable))


def _train(job: AccuracyJob, work: TrainingWork, host_work: HostWork, data: ImageData) -> AccuracyRecord:
    recipe = work.recipe
    task = Task(resolution=recipe.resolution, in_channels=CHANNELS, classes=data.classes)
    training = train_network(
        build_plan(job.architecture, task),
        data,
        recipe,
        seed=job.seed,
        host_work=host_work,
        checkpoint=work.checkpoint(job),
    )
    return AccuracyRecord(
        architecture=job.architecture,
        plan_hash=job.plan_hash,
        seed=job.seed,
        accuracy=training.accuracy,
        recipe=recipe.as_dict(),
        data_fingerprint=data.fingerprint,
        task=task,
        epochs=recipe.epochs,
        test_images=len(data.test_labels),
        curve=training.curve,
        seconds=training.seconds,
        label=describe_label(recipe, data),
        failure=training.failure,
    )


def _remove(checkpoint: Path | None) -> None:
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


def summarise(
    study: Study, jobs: list[AccuracyJob], recipe: TrainingRecipe, data: ImageData, *, new_trainings: int = 0
) -> AccuracyCollection:
    """What the trainings of ``jobs`` say together, and whether they can be told from chance."""
    wanted = {(job.plan_hash, job.seed) for job in jobs}
    fingerprint = recipe_fingerprint(recipe.as_dict())
    records = [
        record
        for record in study.accuracies.all()
        if (record.plan_hash, record.seed) in wanted and record.data_fingerprint == data.fingerprint
        if recipe_fingerprint(record.recipe) == fingerprint
    ]
    by_network: dict[str, list[float]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        if record.accuracy is not None:
            by_network.setdefault(record.plan_hash, []).append(record.accuracy)
    first = np.array([values[0] for values in by_network.values()])
    repeated = [np.array(values) for values in by_network.values() if len(values) > 1]
    between = float(first.std(ddof=1)) if len(first) > 1 else None
    within = float(np.sqrt(np.mean([values.var(ddof=1) for values in repeated]))) if repeated else None
    return AccuracyCollection(
        networks=len(by_network),
        trainings=len(records),
        new_trainings=new_trainings,
        failed=sum(record.accuracy is None for record in records),
        lowest=float(first.min()) if len(first) else None,
        mean=float(first.mean()) if len(first) else None,
        highest=float(first.max()) if len(first) else None,
        between_networks=between,
        within_network=within,
        chance=data.chance,
        label=describe_label(recipe, data),
        verdict=_verdict(first, between, within, data),
    )


def _verdict(
    first: NDArray[np.float64],
    between: float | None,
    within: float | None,
    data: ImageData,
) -> str:
    if not len(first):
        return "no training gave an accuracy"
    limit = data.chance_limit  # for the mean over networks, too: they share the test images
    if float(first.mean()) <= limit:
        return f"cannot be told from chance: mean {first.mean():.1%}, chance {data.chance:.1%}"
    learned = f"{np.mean(first > limit):.0%} of the networks are above chance ({data.chance:.1%})"
    if between is None or within is None:
        return f"{learned}; the noise of the labels is not known without repeats"
    share = max(0.0, 1.0 - within**2 / between**2) if between > 0.0 else 0.0
    return (
        f"{learned}; networks differ by {between:.1%}, seeds of one network by {within:.1%} "
        f"(standard deviations): about {share:.0%} of the variance of a label is the network's"
    )


def _default_workers() -> int:
    return min(len(os.sched_getaffinity(0)), MAX_DEFAULT_WORKERS)


@contextmanager
def _executor(given: Executor | None, workers: int) -> Iterator[Executor | None]:
    """The given executor, a pool of processes of our own, or ``None`` to train in this process."""
    if given is not None or workers <= 1:
        yield given
        return
    pool = training_pool(workers)
    try:
        yield pool
    except BaseException:
        _stop(pool)
        raise
    else:
        pool.shutdown()


def _stop(pool: Executor) -> None:
    """End the pool's processes at once: what they are training is trained again when the call is resumed."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


class _Affordable:
    """The jobs that there is time for, decided one by one as they are asked for.

    Parameters
    ----------
    pending : list of AccuracyJob
    budget : TimeBudget
        Counts networks.
    new : set of str
        Plan hashes of networks without a training; those that are begun are taken out.
    trained : int
        Networks that have one.
    """

    def __init__(
        self, pending: list[AccuracyJob], budget: TimeBudget, *, new: set[str], trained: int
    ) -> None:
        self.begun = 0
        self._pending = pending
        self._budget = budget
        self._new = new
        self._trained = trained
        self._under_way: set[str] = set()

    def __iter__(self) -> Iterator[AccuracyJob]:
        for job in self._pending:
            if job.plan_hash in self._new:
                under_way = len(self._under_way)
                if self._budget.room(taken=self._trained + under_way, under_way=under_way) < 1:
                    continue
                self._new.remove(job.plan_hash)
                self._under_way.add(job.plan_hash)
            elif not self._budget.left_s:
                continue
            self.begun += 1
            yield job

    def end(self, record: AccuracyRecord) -> None:
        """A training has ended."""
        if record.plan_hash in self._under_way:
            self._under_way.remove(record.plan_hash)
            self._trained += 1
            self._budget.end()


def _train_all(
    pending: Iterable[AccuracyJob],
    work: TrainingWork,
    host_work: HostWork,
    *,
    pool: Executor | None,
    ahead: int,
    data: ImageData,
) -> Iterator[tuple[AccuracyJob, AccuracyRecord]]:
    """Jobs and their records as trainings end; at most ``ahead`` jobs are with an executor at a time.

    Without an executor they are trained here, on ``data``.
    """
    if pool is None:
        for job in pending:
            yield job, _train(job, work, host_work, data)
        return
    queue = iter(pending)
    running: dict[Future[AccuracyRecord], AccuracyJob] = {}
    try:
        while True:
            for job in islice(queue, ahead - len(running)):
                running[pool.submit(train_job, job, work, host_work)] = job
            if not running:
                return
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise TrainingError(
            "a training process died",
            "Unless it left a message, the machine may be out of memory; run the command again to go on",
        ) from error


def _tell(bar: Progress, space: Space, record: AccuracyRecord) -> None:
    result = record.failure if record.accuracy is None else f"{record.accuracy:.1%} in {record.seconds:.1f} s"
    bar.note(f"{space.format(record.architecture)}: {result}")
    bar.advance()
