"""How many images a second are decoded, fed, and trained on: does the feed keep up with a training?

Makes JPEG files of 640x480 pixels, decodes them into the cache, and then times one core (torch with one
thread) preparing batches from the cache, and training on them. The feed must be several times faster.

    python benchmarks/image_feed.py --resolution 96 --images 600
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_host.training import load_images, load_recipe, train_network
from hytnas_host.training.train import augmented


def make_files(folder: Path, count: int, rng: np.random.Generator) -> None:
    """Photograph-like files: smooth noise."""
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        place = folder / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(place / f"{number:05d}.jpg", quality=90)


def main() -> None:
    """Print images a second of each stage, and the ratio that matters; ``--json`` keeps them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load_recipe("quick", resolution=options.resolution, epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        make_files(Path(folder) / "images", options.images, np.random.default_rng(0))
        began = time.perf_counter()
        data = load_images(str(Path(folder) / "images"), recipe)
        decoded = options.images / (time.perf_counter() - began)
        rng = np.random.default_rng(0)
        began, fed = time.perf_counter(), 0
        while time.perf_counter() - began < 3.0:
            batch = torch.from_numpy(rng.choice(len(data.train_images), recipe.batch_size, replace=False))
            augmented(data.prepared(data.train_images[batch]), recipe, rng)
            fed += recipe.batch_size
        feed = fed / (time.perf_counter() - began)
        space = get_space("hyt")
        trained = []
        for architecture in space.sample(options.networks, np.random.default_rng(1)):
            plan = build_plan(architecture, Task(resolution=options.resolution, classes=data.classes))
            began = time.perf_counter()
            train_network(plan, data, recipe, seed=0)
            trained.append(len(data.train_images) / (time.perf_counter() - began))
    rows = {
        "decoded, all cores": decoded,
        "fed from the cache, one core": feed,
        "trained on, one core, fastest network": max(trained),
        "trained on, one core, median network": float(np.median(trained)),
    }
    for name, rate in rows.items():
        print(f"{rate:10.0f} images/s  {name}")
    ratio = feed / max(trained)
    print(f"The feed is {ratio:.1f} times as fast as the fastest of {options.networks} trainings.")
    if options.json:
        options.json.write_text(json.dumps(rows | {"feed to training": ratio}))


if __name__ == "__main__":
    main()
