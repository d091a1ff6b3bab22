"""The notebook page runs: the main job with a few small networks, on an agent that nothing disturbs."""

import re
from pathlib import Path

import pytest
from tests.host.devices.calm import CalmTransport
from tests.host.exports_here import EXPORT_POOL, PoolHere

from hytnas_agent.records import MeasureSettings
from hytnas_host.collect import accuracy
from hytnas_host.devices import AgentDevice, registry
from hytnas_host.training import TrainingRecipe
from hytnas_predictors.estimators import ESTIMATORS
from hytnas_predictors.leaderboard import build

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "python.md"
MAX_LINES = 40
SIZES = re.compile(r"^LATENCIES, .*$", re.MULTILINE)
FEW = "LATENCIES, ACCURACIES, REPEATED, EVALUATIONS, FRONT, PROCESSES = 5, 5, 1, 10, 1, 1"
SHORT_OPTIONS = {
    "settings": MeasureSettings(
        warmup_window=2, warmup_max_runs=4, min_runs=3, max_runs=5, timed_budget_s=0.0
    ),
    "canary_every": 0,
    "memory_pass": False,
}
TINY = {
    "224": "32",
    "target, SPACE).scores": "target, SPACE, folds=5, repeats=1).scores",
    "device.method, ": "device.method, **SHORT_OPTIONS, ",
}
SHORT = TrainingRecipe(epochs=1, train_images=50, test_images=50, batch_norm_images=16)


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_main_job_fits_on_a_page_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = blocks()[0]
    assert len(job.splitlines()) <= MAX_LINES
    small, replaced = SIZES.subn(FEW, job)
    assert replaced == 1
    for normal, tiny in TINY.items():
        assert normal in small
        small = small.replace(normal, tiny)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, "MIN_SCORED", 5)
    cheap = {name: ESTIMATORS.bundled[name] for name in ("lightgbm", "layerwise", "ridge")}
    monkeypatch.setattr(ESTIMATORS, "bundled", cheap)
    monkeypatch.setattr(accuracy, "TrainingRecipe", lambda: SHORT)
    monkeypatch.setattr(EXPORT_POOL, PoolHere)
    monkeypatch.setattr(accuracy, "_default_workers", lambda: 1)
    monkeypatch.setitem(
        registry.DEVICES,
        "local",
        lambda _: AgentDevice(
            "local", CalmTransport(tmp_path / "agent"), client_id="me", shares_processor=True
        ),
    )
    exec(compile(small, str(GUIDE), "exec"), {"SHORT_OPTIONS": SHORT_OPTIONS})
    printed = capsys.readouterr().out
    assert printed.count("latency_ms") > 3
    assert re.search(r"^BL .*'params'", printed, re.MULTILINE)
    assert re.search(r"^front .* ms predicted, [\d.]+ ms measured$", printed, re.MULTILINE)
    assert Path("runs/notebook/report.html").is_file()


def test_the_example_without_a_study_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks()[1], str(GUIDE), "exec"), {})
    assert len(re.findall(r"\d+\.\d+", capsys.readouterr().out)) == 3
