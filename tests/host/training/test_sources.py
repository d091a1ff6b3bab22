"""Images of one's own: every kind of source, and what is said of those that cannot be used."""

import gzip
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hytnas_host.training import TrainingRecipe, load_images
from hytnas_host.training.recipe import TrainingError

RECIPE = TrainingRecipe(resolution=16, train_images=0, test_images=0)
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hytnas" / "images"


def pixels(n: int, size: tuple[int, ...] = (20, 24)) -> Pixels:
    return np.random.default_rng(n).integers(0, 256, (n, *size), dtype=np.uint8)


def fill(folder: Path, n: int, value: int, suffix: str = ".png") -> None:
    folder.mkdir(parents=True)
    for i in range(n):
        Image.new("RGB", (20 + i, 24), (value + i % 9, 37 * i % 256, i)).save(folder / f"{i:03d}{suffix}")


def a_folder(path: Path) -> str:
    fill(path / "cat", 60, 200, ".jpg")
    fill(path / "dog", 60, 20)
    (path / "dog" / "._000.png").write_bytes(b"of another system")
    (path / "dog" / "notes.txt").write_text("no image")
    os.mkfifo(path / "dog" / "pipe.png")
    return str(path)


def a_split_folder(path: Path) -> str:
    for name, value in (("cat", 200), ("dog", 20)):
        fill(path / "train" / name, 40, value)
        fill(path / "val" / name, 12, value)
    return str(path)


def an_idx_folder(path: Path) -> str:
    path.mkdir()
    for name, n in (("train", 100), ("t10k", 20)):
        images, labels = pixels(n, (20, 20)), (np.arange(n) % 3).astype(np.uint8)
        head = struct.pack(">HBBIII", 0, 8, 3, n, 20, 20)
        (path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        (path / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, n) + labels.tobytes())
    return str(path)


def an_archive(path: Path) -> str:
    np.savez(path.with_suffix(".npz"), images=pixels(120, (20, 20, 3)), labels=np.arange(120) % 2)
    return str(path.with_suffix(".npz"))


def an_archive_of_fractions(path: Path) -> str:
    images, labels = pixels(120)[..., None] / 255.0, (np.arange(120) % 2)[:, None]
    arrays = {"x_train": images[:96], "y_train": labels[:96], "x_test": images[96:], "y_test": labels[96:]}
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    return str(path.with_suffix(".npz"))


def annotations(path: Path, n: int, area: Callable[[int], float], **changes: Any) -> None:
    """Images of 20 x 24 pixels; a person's box in every second, a dog's in the others."""
    content = {
        "images": [{"id": i, "file_name": f"{i:03d}.png", "width": 20 + i, "height": 24} for i in range(n)],
        "annotations": [
            {"image_id": i, "category_id": 1 + i % 2, "bbox": [0, 0, area(i), 1.0], "iscrowd": 0}
            for i in range(n)
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
    }
    path.write_text(json.dumps(content | changes))


def visual_wake_words(path: Path) -> str:
    fill(path, 120, 90)
    annotations(path / "a.json", 120, lambda i: 0.0051 * 24 * (20 + i))
    return f"vww:{path / 'a.json'},{path}"


@pytest.mark.parametrize(
    ("make", "classes", "train", "test", "name"),
    [
        (a_folder, 2, 96, 24, "images of source"),
        (a_split_folder, 2, 80, 24, "images of source"),
        (an_idx_folder, 3, 100, 20, "images of source"),
        (an_archive, 2, 96, 24, "images of source.npz"),
        (an_archive_of_fractions, 2, 96, 24, "images of source.npz"),
        (visual_wake_words, 2, 96, 24, "Visual Wake Words images"),
    ],
)
def test_a_source_becomes_images_that_a_network_takes(
    tmp_path: Path, *, make: Callable[[Path], str], classes: int, train: int, test: int, name: str
) -> None:
    source = make(tmp_path / "source")
    data = load_images(source, RECIPE)
    assert (data.name, data.classes, data.resolution, data.left_out) == (name, classes, 16, 0)
    assert (len(data.train_images), len(data.test_images)) == (train, test)
    images = data.prepared(data.train_images)
    assert images.shape == (train, 3, 16, 16)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    assert images.std(dim=(0, 2, 3)).sub(1.0).abs().max() < 1e-2
    for labels in (data.train_labels, data.test_labels):
        assert set(labels.tolist()) == set(range(classes))
    again = load_images(source, RECIPE)
    assert torch.equal(again.train_images, data.train_images)
    assert again.fingerprint == data.fingerprint


def test_each_image_keeps_its_label(tmp_path: Path) -> None:
    data = load_images(a_folder(tmp_path / "source"), RECIPE)
    cats = data.train_images[:, 0].float().mean(dim=(1, 2)) > 100
    assert torch.equal(cats, data.train_labels == 0)
    assert data.train_labels[:20].unique().numel() == 2, "the images are not in order of their classes"


def test_only_a_box_above_a_share_of_the_image_makes_a_person(tmp_path: Path) -> None:
    fill(tmp_path / "images", 120, 90)
    annotations(tmp_path / "a.json", 120, lambda i: (0.0051 if i % 4 else 0.0049) * 24 * (20 + i))
    annotations(tmp_path / "b.json", 120, lambda i: 0.0051 * 24 * (20 + i))
    shares = [
        float((load_images(f"vww:{tmp_path / name},{tmp_path / 'images'}", RECIPE).train_labels == 1).sum())
        for name in ("a.json", "b.json")
    ]
    assert shares == [24, 48]


def test_a_fingerprint_is_of_the_content_and_a_changed_file_is_decoded_again(
    tmp_path: Path, cache: Path
) -> None:
    source = Path(a_folder(tmp_path / "source"))
    first = load_images(str(source), RECIPE)
    source.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(source)
    os.utime(source / "cat" / "000.jpg", (1, 1))
    assert load_images(str(source), RECIPE).fingerprint == first.fingerprint
    Image.new("RGB", (20, 24), (0, 0, 0)).save(source / "cat" / "000.jpg")
    assert load_images(str(source), RECIPE).fingerprint != first.fingerprint
    for kept in cache.glob("*/facts.json"):
        kept.write_text("{")
    assert load_images(str(source), TrainingRecipe(**RECIPE.as_dict() | {"split_seed": 1})).fingerprint
    assert not list(cache.glob("draft-*"))


def test_images_that_cannot_be_read_are_named_and_left_out_only_when_asked(tmp_path: Path) -> None:
    source = Path(a_folder(tmp_path / "source"))
    (source / "cat" / "001.jpg").write_bytes(b"")
    (source / "cat" / "002.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0")
    (source / "dog" / "003.png").write_bytes((source / "dog" / "003.png").read_bytes()[:60])
    (source / "dog" / "bad\udcff.png").write_text("<!DOCTYPE html><p>not found")
    with pytest.raises(TrainingError) as told:
        load_images(str(source), RECIPE)
    line = str(told.value)
    assert line.startswith("4 of the images of source cannot be read (")
    assert "001.jpg: empty; " in line
    assert "002.jpg: a Git LFS pointer, not the image; " in line
    assert "and 1 more). Mend them, or give --skip-unreadable" in line
    data = load_images(str(source), RECIPE, skip_unreadable=True)
    assert data.left_out == 4
    assert len(data.train_images) + len(data.test_images) == 121 - 4
    cats = data.train_images[:, 0].float().mean(dim=(1, 2)) > 100
    assert torch.equal(cats, data.train_labels == 0)


def _empty(path: Path) -> str:
    path.mkdir()
    return str(path)


def _one_class(path: Path) -> str:
    fill(path / "cat", 3, 0)
    return str(path)


def _a_class_without_images(path: Path) -> str:
    fill(path / "cat", 3, 0)
    (path / "dog").mkdir()
    return str(path)


def _no_test_split(path: Path) -> str:
    fill(path / "train" / "cat", 3, 0)
    return str(path)


def _another_class_to_test(path: Path) -> str:
    for name in ("train/cat", "train/dog", "val/cat", "val/fox"):
        fill(path / name, 3, 0)
    return str(path)


def _few(path: Path) -> str:
    fill(path / "cat", 15, 0)
    fill(path / "dog", 15, 0)
    return str(path)


def _archive(**arrays: Any) -> Callable[[Path], str]:
    def make(path: Path) -> str:
        np.savez(path.with_suffix(".npz"), **arrays)
        return str(path.with_suffix(".npz"))

    return make


def _half_an_idx(path: Path) -> str:
    source = an_idx_folder(path)
    images = path / "train-images-idx3-ubyte.gz"
    images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes())[:999]))
    return source


def _no_annotations(path: Path) -> str:
    path.write_text("[1, 2]")
    return f"vww:{path},{path.parent}"


def _outside(path: Path, name: str = "../../etc/passwd") -> str:
    images = [{"id": 1, "file_name": name, "width": 2, "height": 2}]
    annotations(path, 2, lambda _: 1.0, images=images)
    return f"vww:{path},{path.parent}"


def _no_persons(path: Path) -> str:
    annotations(path, 2, lambda _: 1.0, categories=[{"id": 2, "name": "dog"}])
    return f"vww:{path},{path.parent}"


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda path: f"{path}/none", "does not exist. Images come from: digits; a folder"),
        (_empty, "holds no images in folders of classes. Give a folder with CLASS/*.jpg"),
        (_one_class, "has one class only, cat. An accuracy needs two"),
        (_a_class_without_images, "the folder of class dog in"),
        (_no_test_split, "has train/ and no val/ beside it"),
        (_another_class_to_test, "has a class that"),
        (_few, "24 images to train and 6 to test are too few. Give at least 20 for each"),
        (_archive(pictures=np.zeros(3)), "holds pictures. Name the arrays images and labels"),
        (_archive(images=np.zeros((2, 3), np.uint8), labels=np.zeros(2, int)), "images of shape (2, 3)"),
        (_archive(images=np.zeros((2, 3, 3), np.uint8), labels=np.zeros(3, int)), "2 images and 3 labels"),
        (_archive(images=np.full((2, 3, 3), np.nan), labels=np.zeros(2, int)), "fractions outside 0 to 1"),
        (_archive(images=np.zeros((2, 3, 3), np.uint8), labels=np.array([0, -1])), "labels from -1 to 0"),
        (_archive(images=np.array([{}]), labels=np.zeros(1, int)), "is not a NumPy archive of arrays"),
        (_half_an_idx, "ends after 983 of 40000 bytes"),
        (_no_annotations, "is not a file of COCO annotations"),
        (_outside, "names an image outside of"),
        (lambda path: _outside(path, "a\0.png"), "names an image outside of"),
        (_no_persons, "has no category called 'person'"),
        (lambda _: "vww:alone.json", "does not name annotations and images"),
    ],
)
def test_what_cannot_be_used_gets_one_line(tmp_path: Path, make: Callable[[Path], str], line: str) -> None:
    with pytest.raises(TrainingError) as told:
        load_images(make(tmp_path / "source"), RECIPE)
    assert line in str(told.value)
    assert "\n" not in str(told.value)


def test_the_digits_are_a_source_and_0_takes_all_of_them() -> None:
    data = load_images("digits", RECIPE)
    assert (len(data.train_images), len(data.test_images)) == (1438, 359)
