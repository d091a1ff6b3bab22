"""Readers of labelled images behind one interface: folders, COCO annotations, IDX files, NumPy archives."""

from hytnas_host.training.readers.base import ImageArrays, ImageFiles, LabelledImages, UnreadableImageError
from hytnas_host.training.readers.coco import read_visual_wake_words
from hytnas_host.training.readers.folder import read_folder
from hytnas_host.training.readers.idx import holds_idx, read_idx
from hytnas_host.training.readers.npz import read_npz

__all__ = [
    "ImageArrays",
    "ImageFiles",
    "LabelledImages",
    "UnreadableImageError",
    "holds_idx",
    "read_folder",
    "read_idx",
    "read_npz",
    "read_visual_wake_words",
]
