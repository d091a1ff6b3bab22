import numpy as np
import pytest
import torch

from hytnas_host.training import load_digits_images
from hytnas_host.training.digits import read_digits
from hytnas_host.training.recipe import TrainingError


def test_shapes_and_normalisation() -> None:
    data = load_digits_images(32)
    assert data.train_images.shape == (900, 3, 32, 32)
    assert data.test_images.shape == (600, 3, 32, 32)
    assert data.train_images.is_contiguous(memory_format=torch.channels_last)
    assert float(data.train_images.mean()) == pytest.approx(0.0, abs=1e-3)
    assert float(data.train_images.std()) == pytest.approx(1.0, abs=1e-3)
    assert torch.equal(data.train_images[:, 0], data.train_images[:, 2])
    assert data.classes == 10


def test_the_split_is_stratified_and_disjoint() -> None:
    data = load_digits_images(8, 600, 900)
    shares = [
        np.bincount(labels.numpy(), minlength=10) / len(labels)
        for labels in (data.train_labels, data.test_labels)
    ]
    np.testing.assert_allclose(shares[0], shares[1], atol=1.5 / 600)
    train = {image.numpy().tobytes() for image in data.train_images}
    test = {image.numpy().tobytes() for image in data.test_images}
    assert not train & test
    assert 0.09 < data.chance < 0.12


@pytest.mark.parametrize("file_is_found", [True, False])
def test_the_digits_are_scikit_learns(monkeypatch: pytest.MonkeyPatch, file_is_found: bool) -> None:
    from sklearn.datasets import load_digits

    if not file_is_found:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    pixels, labels = read_digits()
    assert (pixels.dtype, labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(pixels, load_digits().images)
    np.testing.assert_array_equal(labels, load_digits().target)


def test_at_its_own_size_an_image_is_the_original() -> None:
    from sklearn.datasets import load_digits

    data = load_digits_images(8, 600, 900)
    images = torch.cat([data.train_images, data.test_images])[:, 0]
    low, high = float(images.min()), float(images.max())
    recovered = {
        ((image - low) / (high - low) * 16).round().to(torch.uint8).numpy().tobytes() for image in images
    }
    assert recovered <= {image.astype(np.uint8).tobytes() for image in load_digits().images}


def test_the_fingerprint_tells_splits_and_resolutions_apart() -> None:
    variants = [(32, 900, 897, 0), (32, 900, 897, 1), (24, 900, 897, 0), (32, 800, 897, 0), (32, 900, 800, 0)]
    fingerprints = [load_digits_images(*variant).fingerprint for variant in variants]
    assert len(set(fingerprints)) == len(variants)
    load_digits_images.cache_clear()
    assert load_digits_images(*variants[0]).fingerprint == fingerprints[0]


@pytest.mark.parametrize(("train", "test"), [(10, 500), (500, 10), (1000, 900)])
def test_impossible_splits_are_refused(train: int, test: int) -> None:
    with pytest.raises(TrainingError, match=r"of the digits are too few|cannot be had of 1797"):
        load_digits_images(8, train, test)
