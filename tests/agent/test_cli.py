import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests import calm_agent

from hytnas_agent.cli import main
from hytnas_agent.commands import summarise
from hytnas_agent.direct import Measurement
from hytnas_agent.label import aggregate
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import DeviceDescription, DoctorResult
from hytnas_agent.records import MeasureSettings, Outcome

from .conftest import Models, make_result


@pytest.fixture
def run(state: StateFolder, capsys: pytest.CaptureFixture[str]):
    """Runs the command and gives its exit status, output and error lines."""

    def call(*arguments: object) -> tuple[int, str, str]:
        status = main(["--state", str(state.root), *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that nothing disturbs, whatever else it does: no process is held back, judged or repeated."""
    calm_agent.calm(monkeypatch.setattr, monkeypatch.setenv)


@pytest.mark.usefixtures("calm")
def test_a_file_is_measured_for_a_person(run, models: Models) -> None:
    status, out, err = run("measure", models.tiny)
    assert status == 0, err
    assert out.startswith("tiny.onnx: ")
    assert re.search(r"median of 5 processes, 95 % interval", out)
    assert "peak memory" in out


@pytest.mark.usefixtures("calm")
def test_a_file_is_measured_for_a_program(run, models: Models) -> None:
    status, out, _ = run("measure", models.tiny, "--processes", 2, "--json")
    measurement = msgspec.json.decode(out, type=Measurement)
    assert (status, measurement.label.outcome, measurement.label.processes) == (0, Outcome.OK, 2)
    assert [result.measure_pass for result in measurement.results] == ["timed", "timed", "memory"]
    assert measurement.label == aggregate(measurement.results)
    assert measurement.label.peak_rss_bytes > 0


@pytest.mark.usefixtures("calm")
def test_further_passes_are_measured_where_they_are_asked_for(run, models: Models) -> None:
    status, out, err = run("measure", models.tiny, "--processes", 1, "--profile", "--sustained-s", 1)
    assert status == 0, err
    assert "operators take" in out
    assert "Conv" in out
    assert "sustained: " in out
    assert "energy" not in out
    status, out, err = run("measure", models.tiny, "--processes", 1, "--sustained-s", 1e6)
    assert (status, out) == (1, "")
    assert "1 to 54000 seconds" in err


@pytest.mark.usefixtures("calm")
def test_a_failed_measurement_says_how_and_leaves_with_1(run, models: Models) -> None:
    status, out, _ = run("measure", models.corrupt, "--processes", 1)
    assert status == 1
    assert out.startswith("corrupt.onnx: INVALID_MODEL: the file is no onnx model: its end is missing")


@pytest.mark.parametrize("name", ["absent.onnx", "model.txt", "folder.onnx"])
def test_a_file_it_cannot_take_is_one_clear_line(run, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.onnx").mkdir()
    status, out, err = run("measure", tmp_path / name)
    assert (status, out) == (1, "")
    assert err.startswith("hytnas-agent: ")
    assert len(err.splitlines()) == 1


def test_it_takes_the_same_lease_as_the_server(run, models: Models, state: StateFolder) -> None:
    lease = DeviceLease(state.lease)
    lease.acquire("someone@host", "latencies", 4711)
    status, _, err = run("measure", models.tiny)
    lease.release()
    assert status == 1
    assert "in use by someone@host (pid 4711)" in err
    assert len(err.splitlines()) == 1


def test_describe_and_doctor_speak_json(run) -> None:
    _, described, _ = run("describe", "--json")
    assert msgspec.json.decode(described, type=DeviceDescription).runtimes[0].usable
    _, examined, _ = run("doctor", "--json")
    statuses = {check.status for check in msgspec.json.decode(examined, type=DoctorResult).checks}
    assert statuses <= {"ok", "warn", "fail", "unknown"}
    assert "ok" in statuses


def test_describe_and_doctor_speak_to_people(run) -> None:
    assert "onnxruntime" in run("describe")[1]
    assert "runtime onnxruntime" in run("doctor")[1]


def test_debug_shows_the_traceback(run, tmp_path: Path) -> None:
    assert "Traceback" not in run("measure", tmp_path / "absent.onnx")[2]
    assert "Traceback" in run("--debug", "measure", tmp_path / "absent.onnx")[2]


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["measure"], ["measure", "f.onnx", "--processes", "0"], ["serve", "--idle-exit-s", "-1"]],
)
def test_wrong_usage_leaves_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: hytnas-agent" in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--help"])
    assert raised.value.code == 0
    out = capsys.readouterr().out
    for command in ("serve", "connect", "measure model.onnx", "describe", "doctor"):
        assert f"hytnas-agent {command}" in out


def test_the_summary_is_as_a_person_reads_it() -> None:
    results = [
        make_result(samples, cold_ms=50.0, load_ms=20.0, steady=steady)
        for samples, steady in (((9.0, 10.0, 11.0), True), ((10.0,), True), ((10.0, 10.0), False))
    ]
    memory = make_result(measure_pass="memory", peak_rss_bytes=70 << 20)
    assert summarise("m.onnx", aggregate([*results, memory]), {"emulated"}).splitlines() == [
        "m.onnx: 10 ms (median of 3 processes, 95 % interval 10 to 10)",
        "  p90 10.5 ms, p99 10.95 ms, median absolute deviation 0 ms, 6 samples",
        "  100 inferences a second; load 20 ms, first inference 50 ms",
        "  EMULATED, not a real board",
        "  peak memory 70.0 MiB, interpreter and runtime included",
        "  no steady state was reached in 1 of 3 processes",
    ]


def test_the_command_line_imports_neither_numpy_nor_a_runtime() -> None:
    code = (
        "import sys, hytnas_agent.cli, hytnas_agent.server.serve, hytnas_agent.direct, hytnas_agent.connect\n"
    )
    code += "sys.exit(' '.join({'numpy', 'onnxruntime', 'asyncio'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stderr.strip() == ""


def test_what_runs_while_a_board_measures_does_not_load_the_other_commands() -> None:
    code = "import sys, hytnas_agent.cli, hytnas_agent.connect\n"
    code += (
        "sys.exit(' '.join({'msgspec', 'hytnas_agent.commands', 'hytnas_agent.records'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stderr.strip() == ""


def test_help_states_the_settings_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["measure", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    settings = MeasureSettings()
    assert f"threads (default: {settings.threads})" in told
    assert f"time limit of one process (default: {settings.deadline_s:g})" in told
