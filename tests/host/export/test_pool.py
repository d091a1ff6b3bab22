import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hytnas_host.export import ExportError, ExportPool, export_onnx

JOBS = """
import contextlib, os, signal, torch
from hytnas_host.export import ExportError

def die_of_one_refuse_two(plan, folder, seed):
    if seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == 2:
        raise ExportError("This network is not for export", "Take another")
    return os.getpid(), torch.get_num_threads()

def guard():
    return contextlib.nullcontext()
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """A module that a spawned process can import."""
    (tmp_path / "export_pool_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("export_pool_jobs")
    del sys.modules["export_pool_jobs"]


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_pool_exports_what_one_process_does(plan, tmp_path):
    with ExportPool(1) as pool:
        future = pool.submit(plan, tmp_path / "pool", seed=0)
        alone = export_onnx(plan, tmp_path / "alone", seed=0)
        assert future.result(timeout=120).sha256 == alone.sha256
    assert future.result().path.read_bytes() == alone.path.read_bytes()


def test_a_worker_that_dies_fails_its_own_job_only(plan, tmp_path, jobs):
    with ExportPool(1, guard=jobs.guard, job=jobs.die_of_one_refuse_two) as pool:
        futures = [pool.submit(plan, tmp_path, seed=seed) for seed in (0, 1, 2, 3)]
        first, *_ = futures[0].result(timeout=120)
        with pytest.raises(ExportError, match=rf"exported network {plan.hash[:12]} died.*fewer workers"):
            futures[1].result(timeout=120)
        with pytest.raises(ExportError, match=r"not for export\. Take another"):
            futures[2].result(timeout=120)
        second, threads = futures[3].result(timeout=120)
        assert second != first
        assert threads == 1


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "from hytnas_host.export import ExportPool\n"
        "def stay(plan, folder, seed):\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    with ExportPool(1, job=stay) as pool:\n"
        "        pool.submit(None, Path(), seed=0).result()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        worker = int(parent.stdout.readline())
        assert Path(f"/proc/{worker}").exists()
        parent.kill()
        parent.wait(timeout=30)
        deadline = time.monotonic() + 30
        while _alive(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _alive(worker)
    finally:
        parent.kill()
        parent.stdout.close()
        parent.wait()


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
