"""A whole study of simulated processes, through its journal: what was put in comes out."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import count, pairwise, permutations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from noise.journal import Block, Header, Journal, Process
from noise.markdown import markdown_of
from noise.measuring import blocks_to_do, hog_plan
from noise.methods import CONDITIONS, Turn, next_process, rule_of, turns_of_block
from noise.report import analyse
from noise.table import lines_of

from hytnas_agent.records import Outcome

MODELS = tuple(f"{number:064x}" for number in range(30))
HEADER = Header(
    "local", "board", "context", "0.1", "a0", "b0", 64, 0, MODELS, 1, 0, 0.1, 0.015, 5, 10, 4.0, 8.0
)
NOISE = {"naive": 0.12, "fixed": 0.06, "ours": 0.004}
REPEATS = 8


class Simulated:
    """Writes the journal of a study in which each process is off by normal noise of its method."""

    def __init__(self, path: Path, header: Header = HEADER, noise: dict[str, float] | None = None) -> None:
        self.path, self.header, self.noise = path, header, noise or NOISE
        rng = np.random.default_rng(0)
        self.truth = dict(
            zip(header.models, np.log(5) + 0.5 * rng.normal(size=len(header.models)), strict=True)
        )
        self.rng, self.jobs = rng, count()
        with Journal(path) as journal:
            journal.add(header)

    def measure(self, turn: Turn, condition: str, repeat: int, replicate: int) -> Process:
        method, model = turn
        scale = self.noise[method] * (3 if condition == "same-core" else 1)
        value = float(np.exp(self.truth[model] + scale * self.rng.normal()))
        return Process(
            condition,
            repeat,
            model,
            method,
            replicate,
            f"{self.path} {next(self.jobs)}",
            Outcome.OK,
            0.0,
            0.5,
            (value,),
            2 * value,
            steal_s=0.01 if method == "ours" else 0.0,
            runs_s=0.1,
            hog_busy_s=None if condition == "quiet" else 0.2,
            hog_s=None if condition == "quiet" else 0.6,
        )

    def block(self, repeat: int, condition: str, *, ended: bool = True, limit: int | None = None) -> None:
        with Journal(self.path) as journal:
            measured: dict[Turn, list[Process]] = defaultdict(list)
            rule, seed = rule_of(self.header), [repeat, list(CONDITIONS).index(condition)]
            for number, turn in enumerate(turns_of_block(self.header.models, measured, rule, seed)):
                if number == limit:
                    break
                replicate = next_process(turn[0], measured[turn], rule)
                assert replicate is not None
                measured[turn].append(self.measure(turn, condition, repeat, replicate))
                journal.add(measured[turn][-1])
            if ended:
                journal.add(Block(condition, repeat, 10.0, 0.5))

    def run(self, conditions: Sequence[str], repeats: int = REPEATS) -> dict[str, Any]:
        for repeat in range(repeats):
            for condition in conditions:
                self.block(repeat, condition)
        return self.analyse()

    def analyse(self) -> dict[str, Any]:
        with Journal(self.path, writable=False) as journal:
            return analyse([journal], resamples=200)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return Simulated(tmp_path_factory.mktemp("study") / "journal.jsonl").run(["quiet", "same-core"])


def test_the_injected_noise_is_found(found: dict[str, Any]) -> None:
    for condition, factor in (("quiet", 1), ("same-core", 3)):
        methods = found["conditions"][condition]["methods"]
        for method in ("naive", "fixed"):
            row = methods[method]
            assert row["repeat_spread"]["value"] == pytest.approx(factor * NOISE[method], rel=0.15)
            assert row["implied_noise"]["value"] == pytest.approx(factor * NOISE[method], rel=0.25)
        spreads = [methods[method]["repeat_spread"]["value"] for method in ("first", "naive")]
        assert spreads[0] == pytest.approx(spreads[1])
        assert methods["first"]["latency_ms"] == pytest.approx(2 * methods["naive"]["latency_ms"])


def test_our_labels_are_medians_of_processes(found: dict[str, Any]) -> None:
    """The median of five normal values has 0.536 of the noise of one."""
    row = found["conditions"]["quiet"]["methods"]["ours"]
    assert row["processes_a_label"] < 6.5
    assert row["repeat_spread"]["value"] == pytest.approx(0.536 * NOISE["ours"], rel=0.15)
    assert row["seconds_a_model"] == pytest.approx(0.5 * row["processes_a_label"])


def test_the_methods_are_told_apart(found: dict[str, Any]) -> None:
    compared = found["conditions"]["quiet"]["ours_against"]["naive"]
    for measure in ("repeat_spread", "implied_noise"):
        assert compared[measure]["at_most_a_third"] == "yes"
        assert compared[measure]["difference"]["high"] < 0
        assert compared[measure]["ratio"]["value"] < 0.1
    assert found["conditions"]["quiet"]["tau_reached"] == "yes"


def test_noise_falls_along_the_curve(found: dict[str, Any]) -> None:
    curve = found["conditions"]["quiet"]["curve"]
    for method, sizes in (("naive", [1, 2, 3]), ("fixed", [1, 2, 3]), ("ours", [1, 2, 3, 4, 5])):
        points = [point for point in curve if point["method"] == method]
        assert [point["size"] for point in points][: len(sizes)] == sizes
        assert [point["seconds"] for point in points] == pytest.approx([0.5 * p["size"] for p in points])
        spreads = [point["repeat_spread"]["value"] for point in points]
        assert spreads[2] < 0.8 * spreads[0]


def test_the_weather_is_told_by_method(found: dict[str, Any]) -> None:
    quiet, noisy = (found["conditions"][name]["weather"] for name in ("quiet", "same-core"))
    assert quiet["hog_share"] is None
    assert noisy["hog_share"] == pytest.approx(1 / 3)
    for weather in (quiet, noisy):
        shares = {method: row["steal_share"] for method, row in weather["methods"].items()}
        assert shares == pytest.approx({"naive": 0.0, "fixed": 0.0, "ours": 0.1})
        assert sum(row["processes"] for row in weather["methods"].values()) == weather["processes"]
        assert weather["methods"]["naive"]["seconds"] == 0.5 * len(MODELS) * REPEATS


def test_a_slow_pass_and_its_time_are_told(tmp_path: Path) -> None:
    class Drifting(Simulated):
        """The second repeat, which is measured last, is slower by 9 %."""

        def measure(self, turn: Turn, condition: str, repeat: int, replicate: int) -> Process:
            process = super().measure(turn, condition, repeat, replicate)
            began_s = {0: 1000.0, 1: 3000.0, 2: 2000.0}[repeat] + replicate
            slower = 1.09 if repeat == 1 else 1.0
            samples = tuple(slower * each for each in process.samples_ms)
            return msgspec.structs.replace(process, started_unix_s=began_s, samples_ms=samples)

    found = Drifting(tmp_path / "journal.jsonl").run(["quiet"], repeats=3)
    passes = found["conditions"]["quiet"]["our_passes"]
    assert [each["repeat"] for each in passes] == [0, 2, 1]
    assert [each["began_unix_s"] for each in passes] == [1000.0, 2000.0, 3000.0]
    third = np.log(1.09) / 3
    assert [each["slower"] for each in passes] == pytest.approx([-third, -third, 2 * third], abs=0.002)
    for each in passes:
        assert each["scatter"] == pytest.approx(NOISE["ours"], rel=0.3)
        assert 0.0 <= each["unstable_share"] < 0.2
        assert each["disturbed_a_label"] == 0.0
        assert each["seconds_a_model"] == pytest.approx(0.5 * 5.5, rel=0.2)
    lines = list(lines_of(found))
    told = lines[next(place for place, line in enumerate(lines) if line.startswith("ours, pass by pass")) :]
    assert [" ".join(line.split()[:4]) for line in told[1:4]] == [
        "repeat 1 1970-01-01 00:16",
        "repeat 3 1970-01-01 00:33",
        "repeat 2 1970-01-01 00:50",
    ]
    assert len(told[0]) == len(told[1])


def test_what_disturbed_processes_is_told_and_charged(tmp_path: Path) -> None:
    seen: set[tuple[int, str]] = set()

    class Disturbed(Simulated):
        """The first attempt at each first process is disturbed."""

        def measure(self, turn: Turn, condition: str, repeat: int, replicate: int) -> Process:
            process = super().measure(turn, condition, repeat, replicate)
            if turn[0] == "ours" and (repeat, turn[1]) not in seen:
                seen.add((repeat, turn[1]))
                reason = f"other processes took {20 + repeat} % of core 1"
                return msgspec.structs.replace(process, usable=False, disturbed=(reason,))
            return process

    found = Disturbed(tmp_path / "journal.jsonl").run(["quiet"], repeats=3)["conditions"]["quiet"]
    row = found["weather"]["methods"]["ours"]
    assert row["disturbed"] == 3 * len(MODELS)
    assert row["disturbed_by"] == {"other processes took \u2026 of core \u2026": 3 * len(MODELS)}
    assert found["methods"]["ours"]["disturbed_a_label"] == 1.0
    assert found["methods"]["ours"]["too_few_undisturbed_share"] == 0.0
    points = [point for point in found["curve"] if point["method"] == "ours"]
    assert [point["seconds"] for point in points] == pytest.approx([0.5 * (p["size"] + 1) for p in points])


def test_a_label_of_one_process_has_no_scatter_and_stands_along_the_curve(tmp_path: Path) -> None:
    class Scarce(Simulated):
        """Of one model only the first process is undisturbed; the others take twice as long."""

        def measure(self, turn: Turn, condition: str, repeat: int, replicate: int) -> Process:
            process = super().measure(turn, condition, repeat, replicate)
            if turn != ("ours", MODELS[0]) or replicate == 0:
                return process
            slow = tuple(2 * each for each in process.samples_ms)
            return msgspec.structs.replace(process, usable=False, disturbed=("a hog",), samples_ms=slow)

    found = Scarce(tmp_path / "journal.jsonl").run(["quiet"], repeats=2)["conditions"]["quiet"]
    assert found["methods"]["ours"]["too_few_undisturbed_share"] == pytest.approx(1 / len(MODELS))
    assert found["methods"]["ours"]["repeat_spread"]["value"] < 0.005
    assert found["weather_permitting"]["calm"]["scatter"] == pytest.approx(NOISE["ours"], rel=0.2)
    points = [point for point in found["curve"] if point["method"] == "ours"]
    assert [point["size"] for point in points] == [1, 2, 3, 4, 5]


def test_the_table_shows_every_method_and_condition(found: dict[str, Any]) -> None:
    lines = list(lines_of(found))
    for start in ("== quiet", "== same-core", "single run, the second", "10 warm-ups + 50 runs", "ours  "):
        assert any(line.startswith(start) for line in lines), start
    assert any("at most a third: yes" in line for line in lines)


def test_the_tables_for_a_document_are_rectangular(found: dict[str, Any]) -> None:
    tables = "\n".join(markdown_of(found)).split("\n\n")
    assert [len({line.count("|") for line in table.strip().splitlines()}) for table in tables] == [1] * 6
    rows = [len(table.strip().splitlines()) - 2 for table in tables]
    assert rows[:3] + rows[4:] == [2 * 4, 2, 2 * 3 * 2, 2 * 2, 2 * 3]
    assert "| same-core | ours |" in tables[5]


def test_passes_in_which_processes_scatter_are_told_from_calm_ones(tmp_path: Path) -> None:
    class Moody(Simulated):
        """Every third pass is rough."""

        def measure(self, turn: Turn, condition: str, repeat: int, replicate: int) -> Process:
            self.noise = NOISE | {"ours": 0.08 if repeat % 3 == 0 else 0.01}
            return super().measure(turn, condition, repeat, replicate)

    found = Moody(tmp_path / "journal.jsonl").run(["quiet"])["conditions"]["quiet"]
    calm, rough = found["weather_permitting"]["calm"], found["weather_permitting"]["rough"]
    assert (calm["passes"], rough["passes"]) == (5, 3)
    assert calm["scatter"] == pytest.approx(0.01, rel=0.2)
    assert rough["scatter"] == pytest.approx(0.08, rel=0.2)
    assert calm["tau_between_passes"]["value"] > 0.98 > rough["tau_between_passes"]["value"] + 0.02
    assert rough["tau_reached"] == "no"


def test_a_study_without_a_rough_pass_says_nothing_of_such(found: dict[str, Any]) -> None:
    rough = found["conditions"]["quiet"]["weather_permitting"]["rough"]
    assert rough == {"passes": 0, "scatter": None, "tau_between_passes": None, "tau_reached": None}


class Elsewhere(Simulated):
    """On a machine twice as slow, on which each network has latencies of its own."""

    def measure(self, turn: Turn, condition: str, repeat: int, replicate: int) -> Process:
        process = super().measure(turn, condition, repeat, replicate)
        factor = 2 + MODELS.index(turn[1]) % 3 / 10
        return msgspec.structs.replace(
            process, samples_ms=tuple(factor * each for each in process.samples_ms)
        )


def test_journals_of_several_machines_are_one_study(tmp_path: Path) -> None:
    for number, kind in enumerate((Simulated, Elsewhere)):
        (tmp_path / str(number)).mkdir()
        kind(tmp_path / str(number) / "journal.jsonl").run(["quiet", "same-core"][: number + 1], 4 - number)
    pool = [word for number in (0, 1) for word in ("--pool", str(tmp_path / str(number) / "journal.jsonl"))]
    program = Path(__file__).parents[3] / "benchmarks" / "noise_study.py"
    command = [sys.executable, str(program), "--show", "--folder", str(tmp_path / "both")]
    shown = subprocess.run([*command, *pool], check=True, capture_output=True, text=True).stdout
    assert "nothing is added; 7 passes of 2 journals" in shown
    assert "a journal of 4 blocks: device local, context context, agent 0.1 (a0)" in shown
    assert "part of the time; 3 passes\n" in shown
    found = json.loads((tmp_path / "both" / "result.json").read_text())["conditions"]
    for method in ("naive", "fixed"):
        row = found["quiet"]["methods"][method]
        assert row["repeat_spread"]["value"] == pytest.approx(NOISE[method], rel=0.15)
        assert row["implied_noise"]["value"] == pytest.approx(NOISE[method], rel=0.25)
    assert found["quiet"]["methods"]["ours"]["pass_shift"] < 0.002
    assert found["quiet"]["weather_permitting"]["calm"]["passes"] == 7
    assert found["quiet"]["weather"]["methods"]["naive"]["processes"] == 7 * len(MODELS)
    sizes = [point["size"] for point in found["quiet"]["curve"] if point["method"] == "naive"]
    assert sizes == [1, 2]


def test_journals_of_different_studies_are_not_mixed(tmp_path: Path) -> None:
    finer = msgspec.structs.replace(HEADER, resolution=96)
    fewer = msgspec.structs.replace(HEADER, models=MODELS[1:])
    with Journal(Simulated(tmp_path / "one.jsonl").path, writable=False) as one:
        for header, told in ((finer, "resolution is 64 and 96"), (fewer, "30 and 29 models")):
            path = Simulated(tmp_path / f"{told}.jsonl", header).path
            with Journal(path, writable=False) as other, pytest.raises(SystemExit, match=told):
                analyse([one, other])
        process = Process("quiet", 0, MODELS[0], "ours", 0, "the-job", Outcome.OK, 0.0, 0.5)
        for name in ("kept.jsonl", "copied.jsonl"):
            with Journal(Simulated(tmp_path / name).path) as journal:
                journal.add(process)
        with (
            Journal(tmp_path / "kept.jsonl", writable=False) as kept,
            Journal(tmp_path / "copied.jsonl", writable=False) as copied,
            pytest.raises(SystemExit, match="give each journal once"),
        ):
            analyse([kept, copied])
        (tmp_path / "empty.jsonl").touch()
        with (
            Journal(tmp_path / "empty.jsonl", writable=False) as empty,
            pytest.raises(SystemExit, match="nothing is measured yet"),
        ):
            analyse([one, empty])


def test_a_method_that_is_no_better_is_not_called_better(tmp_path: Path) -> None:
    same = {"naive": 0.03, "fixed": 0.03, "ours": 0.06}
    found = Simulated(tmp_path / "journal.jsonl", noise=same).run(["quiet"])
    compared = found["conditions"]["quiet"]["ours_against"]["naive"]["repeat_spread"]
    assert compared["at_most_a_third"] == "no"
    assert found["conditions"]["quiet"]["tau_reached"] == "no"


def test_a_pass_that_has_not_ended_does_not_count(tmp_path: Path) -> None:
    study = Simulated(tmp_path / "journal.jsonl")
    before = study.run(["quiet"], repeats=2)
    study.block(2, "quiet", ended=False, limit=40)
    after = study.analyse()
    assert after["conditions"]["quiet"]["passes"] == 2
    assert after["conditions"]["quiet"]["methods"] == before["conditions"]["quiet"]["methods"]


def test_too_little_is_said(tmp_path: Path) -> None:
    study = Simulated(tmp_path / "journal.jsonl")
    found = study.run(["quiet"], repeats=1)
    assert found["conditions"] == {}
    assert "no condition has two complete passes yet" in list(lines_of(found))


def test_models_that_failed_are_left_out_everywhere(tmp_path: Path) -> None:
    class Failing(Simulated):
        def measure(self, turn: Turn, condition: str, repeat: int, replicate: int) -> Process:
            process = super().measure(turn, condition, repeat, replicate)
            if turn == ("fixed", MODELS[3]) and repeat == 1:
                return msgspec.structs.replace(process, outcome=Outcome.CRASH, samples_ms=())
            return process

    found = Failing(tmp_path / "journal.jsonl").run(["quiet", "other-core"], repeats=2)
    assert found["failed_models"] == [MODELS[3]]
    assert found["models"] == len(MODELS) - 1
    assert set(found["conditions"]) == {"quiet", "other-core"}


def test_repeats_come_one_after_the_other_and_ended_blocks_are_not_measured_again(tmp_path: Path) -> None:
    study = Simulated(tmp_path / "journal.jsonl")
    with Journal(study.path, writable=False) as journal:
        places = blocks_to_do(journal, list(CONDITIONS), 12)
    assert [repeat for repeat, _ in places] == [repeat for repeat in range(12) for _ in CONDITIONS]
    for place in range(3):
        assert Counter(name for _, name in places[place::3]) == dict.fromkeys(CONDITIONS, 4)
    followed = {(one[1], other[1]) for one, other in pairwise(places)}
    assert followed >= set(permutations(CONDITIONS, 2))
    study.block(0, "quiet")
    study.block(0, "same-core", ended=False, limit=10)
    with Journal(study.path, writable=False) as journal:
        assert blocks_to_do(journal, list(CONDITIONS), 12) == [p for p in places if p != (0, "quiet")]
        assert blocks_to_do(journal, ["quiet"], 2) == [(1, "quiet")]


def test_what_disturbs_each_condition() -> None:
    assert hog_plan(HEADER, (0, "quiet"), 0) is None
    other, same = hog_plan(HEADER, (0, "other-core"), 0), hog_plan(HEADER, (0, "same-core"), 0)
    assert other is not None
    assert same is not None
    assert (other.core, other.idle_s) == (0, 0.0)
    assert (same.core, same.busy_s, same.idle_s) == (1, 4.0, 8.0)
    again = hog_plan(HEADER, (1, "same-core"), 0)
    assert again is not None
    assert again.seed != same.seed
