"""Who gets which models, whatever boards do: every model is finished once, and windows shrink."""

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hytnas_host.collect.budget import TimeBudget
from hytnas_host.collect.model import Model
from hytnas_host.collect.model_queue import ModelQueue, window_size
from hytnas_host.collect.schedule import FEW_MODELS
from hytnas_host.collect.windows import PreparedWindows, Source


def models(count: int) -> list[Model]:
    return [Model(f"{number:064x}", "onnx", Path("m.onnx")) for number in range(count)]


def windows_of(count: int, window: int, ahead: int = 0) -> PreparedWindows:
    everything = models(count)
    windows = [everything[i : i + window] for i in range(0, count, window)]
    source = Source([lambda chunk=chunk: chunk for chunk in windows], count, [], list, lambda: None)
    return PreparedWindows(source, ahead=ahead)


def queue_of(windows: PreparedWindows, boards: list[str], window: int, **more) -> ModelQueue:
    given = {"done": lambda model: False, "begun_on": lambda sha256: None}
    return ModelQueue(windows, boards, window=window, **(given | more))


@given(st.integers(0, 500), st.integers(1, 9), st.integers(1, 40))
def test_a_board_takes_its_share_and_no_more_than_a_window(remaining, boards, window):
    size = window_size(remaining, boards, window)
    assert 1 <= size <= window
    assert size >= min(window, FEW_MODELS, -(-remaining // 2))


@pytest.mark.parametrize("boards", [1, 2, 3])
@pytest.mark.parametrize("count", [*range(1, 13), 21, 22, 23, 40, 41, 43, 57, 61])
def test_no_board_is_left_with_too_few_models_to_spread_their_processes(count, boards):
    names = [f"board-{i}" for i in range(boards)]
    sizes: list[int] = []
    with windows_of(count, 20) as windows:
        queue = queue_of(windows, names, 20)
        while sum(sizes) < count:
            for name in names:
                if sum(sizes) < count:
                    sizes.append(len(queue.take(name)))
            for name in names:
                queue.finish(name)
    assert sum(sizes) == count
    assert min(sizes) >= min(count, FEW_MODELS)


def test_one_board_takes_whole_windows():
    with windows_of(50, 20) as windows:
        queue = queue_of(windows, ["a"], 20)
        sizes = []
        while taken := queue.take("a"):
            sizes.append(len(taken))
            queue.finish("a")
    assert sizes == [20, 20, 10]


def test_windows_shrink_towards_the_end():
    with windows_of(60, 20) as windows:
        queue = queue_of(windows, ["a", "b"], 20)
        sizes = []
        while taken := queue.take("a"):
            sizes.append(len(taken))
            queue.finish("a")
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 2 * FEW_MODELS
    assert sum(sizes) == 60


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 60),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(0, 2),
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 12)), max_size=80),
)
def test_whatever_is_given_back_every_model_is_finished_once(count, window, boards, ahead, moves):
    names = [f"board-{i}" for i in range(boards)]
    finished: list[str] = []
    with windows_of(count, window, ahead) as windows:
        queue = queue_of(windows, names, window)
        for number, dies, done in moves:
            board = names[number % boards]
            if queue.finished:
                break
            taken = queue.take(board)
            finished += [model.sha256 for model in (taken[:done] if dies else taken)]
            if dies:
                queue.give_back(board, taken[done:])
            else:
                queue.finish(board)
        while taken := queue.take(names[0]):
            finished += [model.sha256 for model in taken]
            queue.finish(names[0])
        assert queue.finished
    assert sorted(finished) == [model.sha256 for model in models(count)]


def test_board_goes_on_with_what_it_began_and_leaves_others_theirs_until_nothing_else_is_left():
    owners = {f"{0:064x}": "b", f"{1:064x}": "a", f"{2:064x}": "a"}
    with windows_of(8, 8) as windows:
        queue = queue_of(windows, ["a", "b"], 4, begun_on=owners.get)
        first = [int(model.sha256, 16) for model in queue.take("a")]
        queue.finish("a")
        second = [int(model.sha256, 16) for model in queue.take("a")]
        queue.finish("a")
    assert first == [1, 2, 3, 4]
    assert second == [5, 6, 7]


def test_models_that_are_done_are_handed_to_nobody():
    with windows_of(10, 4) as windows:
        queue = queue_of(windows, ["a"], 4, done=lambda model: int(model.sha256, 16) % 2 == 0)
        taken = []
        while some := queue.take("a"):
            taken += [int(model.sha256, 16) for model in some]
            queue.finish("a")
    assert taken == [1, 3, 5, 7, 9]


def test_board_waits_for_what_another_may_give_back():
    got: list[list[Model]] = []
    with windows_of(4, 4) as windows:
        queue = queue_of(windows, ["a", "b"], 4)
        held = queue.take("a")
        waiting = threading.Thread(target=lambda: got.append(queue.take("b")))
        waiting.start()
        assert not queue.wait_finished(0.05)
        assert waiting.is_alive()
        queue.give_back("a", held[1:])
        waiting.join(60)
        queue.finish("b")
        assert queue.take("b") == []
        assert queue.take("a") == []
    assert got == [held[1:]]


def test_stopping_wakes_who_waits():
    got: list[list[Model]] = []
    with windows_of(4, 4) as windows:
        queue = queue_of(windows, ["a", "b"], 4)
        queue.take("a")
        waiting = threading.Thread(target=lambda: got.append(queue.take("b")))
        waiting.start()
        queue.stop()
        waiting.join(60)
    assert got == [[]]
    assert queue.take("a") == []


def test_preparation_that_fails_is_raised_to_who_asked():
    def broken() -> list[Model]:
        raise OSError("no space left")

    with PreparedWindows(Source([broken], 1, [], list, lambda: None), ahead=0) as windows:
        queue = queue_of(windows, ["a"], 4)
        with pytest.raises(OSError, match="no space"):
            queue.take("a")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("seconds_each", "expected"),
    [(1.0, [20, 20, 20]), (3.0, [20, 13]), (4.0, [20, 9]), (4.9, [20, 9]), (5.0, [20]), (50.0, [20])],
)
def test_when_the_time_is_over_no_more_models_are_handed_out(seconds_each, expected):
    clock = Clock()
    with windows_of(60, 20) as windows:
        queue = queue_of(windows, ["a"], 20, budget=TimeBudget(100.0, least=29, clock=clock))
        sizes = []
        while taken := queue.take("a"):
            sizes.append(len(taken))
            clock.now_s += seconds_each * len(taken)
            queue.finish("a")
        assert queue.finished
    assert sizes == expected


@pytest.mark.parametrize(("before", "needed"), [(0, 6), (5, 1), (9, 0)])
def test_what_was_measured_before_and_what_others_have_counts_for_the_least(before, needed):
    with windows_of(20, 20) as windows:
        queue = queue_of(
            windows,
            ["a", "b"],
            2,
            done=lambda model: int(model.sha256, 16) < before,
            budget=TimeBudget(10.0, least=8, clock=Clock()),
        )
        assert len(queue.take("a")) == len(queue.take("b")) == 2
        assert queue.needed("a") == needed


def test_a_board_without_time_gets_nothing_and_waits_for_the_others():
    got: list[list[Model]] = []
    with windows_of(12, 4) as windows:
        queue = queue_of(windows, ["a", "b"], 4)
        held = queue.take("a")
        queue.take("b")
        queue.finish("b", exhausted=True)
        waiting = threading.Thread(target=lambda: got.append(queue.take("b")))
        waiting.start()
        assert not queue.wait_finished(0.05)
        assert not queue.finished
        queue.finish("a", held, exhausted=True)
        waiting.join(60)
        assert queue.finished
        assert queue.take("a") == []
    assert got == [[]]
