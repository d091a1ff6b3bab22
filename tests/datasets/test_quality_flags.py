"""What is to be said of latency labels: counted, put into words and into cells."""

from itertools import chain, combinations

import pytest

from hytnas_datasets.quality_flags import (
    ALL,
    FlagCount,
    QualityFlags,
    describe_flags,
    read_flags,
    write_flags,
)

SUBSETS = [frozenset(some) for some in chain.from_iterable(combinations(ALL, n) for n in range(4))]


def flags(*words: str) -> QualityFlags:
    return frozenset(words)  # type: ignore[arg-type]


@pytest.mark.parametrize("every", SUBSETS, ids=lambda every: ";".join(sorted(every)) or "none")
def test_a_cell_is_read_as_it_was_written(every: QualityFlags) -> None:
    assert read_flags(write_flags(every)) == every


@pytest.mark.parametrize("cell", ["shaky", "unstable;", "disturbed;unstable", "unstable;unstable", " "])
def test_another_cell_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="no quality flags of a label"):
        read_flags(cell)


def test_labels_are_counted_by_what_is_to_be_said_of_them() -> None:
    count = FlagCount.of(
        [flags(), flags("untargeted"), flags("unstable", "disturbed"), flags("unstable")],
        [flags("disturbed", "untargeted")],
    )
    assert count == FlagCount(labels=5, unstable=2, disturbed=2, doubtful=3, untargeted=1, left_out=1)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "These labels do not say which of them are UNSTABLE or have too few undisturbed processes."),
        (FlagCount(9, 0, 0, 0, 0), "None of 9 labels is UNSTABLE or has too few undisturbed processes."),
        (
            FlagCount(9, 3, 1, 4, 0),
            "4 of 9 labels are doubtful and count all the same: "
            "3 UNSTABLE, 1 with too few undisturbed processes.",
        ),
        (
            FlagCount(9, 3, 2, 4, 5, left_out=4),
            "4 of 9 labels were left out: 3 UNSTABLE, 2 with too few undisturbed processes. "
            "5 are of a fixed number of processes, their intervals held to no width.",
        ),
    ],
)
def test_a_count_is_put_into_words(count: FlagCount | None, words: str) -> None:
    assert describe_flags(count) == words
