"""Damage saved estimators at random and load each in a process of its own: none may crash, hang or surprise.

Run by hand: ``python tests/fuzz/predictors.py --n 300 --seed 0 xgboost lightgbm``.
"""

import argparse
import faulthandler
import hashlib
import json
import os
import random
import re
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from hytnas_agent.errors import HytnasError
from hytnas_predictors.estimators import estimator_class, files, make_estimator

LIMIT_S = 20
NUMBERS = (
    b"-1", b"0", b"1", b"2147483647", b"2147483648", b"4294967297", b"-2147483648", b"9223372036854775807",
    b"1e999", b"-0", b"nan", b"0_8", b"0x10", b"+1", b"01", b"1e308", b"1e-320", b"null", b"[]", b"\x0b1",
)  # fmt: skip
TOKEN = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to three changes: of a number, of bytes, of a part that is cut, doubled or moved."""
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(5)
        start = rng.randrange(len(data) or 1)
        end = min(len(data), start + rng.randint(1, 40))
        numbers = list(TOKEN.finditer(data)) if kind < 2 else []
        if numbers:
            found = rng.choice(numbers)
            data = data[: found.start()] + rng.choice(NUMBERS) + data[found.end() :]
        elif kind == 2:
            data = data[:start] + bytes([rng.randrange(256)]) + data[start + 1 :]
        elif kind == 3:
            data = data[:start] + data[end:]
        else:
            data = data[:end] + data[start:end] + data[end:]
    return data


def damage(folder: Path, rng: random.Random) -> None:
    """Change a member, with size and hash to match, or now and then the header."""
    header = folder / files.HEADER
    if rng.random() < 0.2:
        header.write_bytes(mutate(header.read_bytes(), rng))
        return
    member = rng.choice(sorted(folder.glob("member-*")))
    data = mutate(member.read_bytes(), rng)
    member.write_bytes(data)
    described = json.loads(header.read_text())
    number = int(member.stem.partition("-")[2])
    described["members"][number] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    header.write_text(json.dumps(described))


def load_in_child(name: str, folder: Path) -> str:
    """How loading and predicting ends."""
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        status = 0
        try:
            faulthandler.dump_traceback_later(LIMIT_S, exit=True)
            estimator = estimator_class(name).load(folder)
            mean, _ = estimator.predict_with_std(np.zeros((3, estimator.n_features_in_)))
            status = 0 if np.isfinite(mean).all() else 3
        except HytnasError:
            status = 2
        except BaseException:  # whatever it is, it is told
            traceback.print_exc()
            status = 1
        os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        return f"SIGNAL {os.WTERMSIG(ended)}"
    return {0: "loaded", 1: "SURPRISE", 2: "refused", 3: "not finite"}[os.WEXITSTATUS(ended)]


def main() -> int:
    """Print how often each ending was seen; 1 if one of them must not be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("names", nargs="*", default=["xgboost", "lightgbm"])
    arguments = parser.parse_args()
    rng, rows = random.Random(arguments.seed), np.random.default_rng(0)  # no secret
    x = rows.integers(0, 4, size=(60, 3)).astype(float)
    bad = 0
    for name in arguments.names:
        endings: Counter[str] = Counter()
        fitted = make_estimator(name).fit(x, 1 + x[:, 0] + x[:, 1] ** 2, rng=rows)
        for number in range(arguments.n):
            with tempfile.TemporaryDirectory() as place:
                fitted.save(Path(place))
                damage(Path(place), rng)
                ending = load_in_child(name, Path(place))
            endings[ending] += 1
            if ending not in {"loaded", "refused"}:
                sys.stderr.write(f"{name} number {number} of seed {arguments.seed}: {ending}\n")
                bad += 1
        sys.stdout.write(f"{name} {dict(endings)}\n")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
