"""Files that are called like models and are something else, named for what they are."""

import re
from pathlib import Path
from typing import Final

from hytnas_agent.records import ModelFormat
from hytnas_agent.regular_file import open_regular
from hytnas_agent.runtimes import onnx_file
from hytnas_agent.tflite_model import IDENTIFIER

_HEAD_BYTES: Final = 1024
_BEGINNINGS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"version https://git-lfs", "it is a Git LFS pointer, not the model: fetch that with: git lfs pull"),
    (b"\x00\x05\x16\x07", "it is what macOS keeps beside a file of another system (._NAME), no model"),
    (b"PK\x03\x04", "it is a ZIP archive, such as PyTorch and Keras save, no model: unpack or export it"),
    (b"\x1f\x8b", "it is compressed with gzip: unpack it"),
    (b"\xfd7zXZ\x00", "it is compressed with xz: unpack it"),
    (b"BZh", "it is compressed with bzip2: unpack it"),
    (b"7z\xbc\xaf", "it is a 7z archive: unpack it"),
    (b"\x89HDF", "it is an HDF5 file, such as Keras saves: export it"),
    (b"\x80\x02", "it is a Python pickle, such as PyTorch saves: export it"),
    (b"\x80\x04", "it is a Python pickle, such as PyTorch saves: export it"),
    (b"\x89PNG", "it is a picture (PNG)"),
    (b"\xff\xd8\xff", "it is a picture (JPEG)"),
    (b"%PDF", "it is a PDF document"),
    (b"\x7fELF", "it is a program (ELF)"),
)
_WEB_PAGE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|\?xml|!--)", re.I)
_TEXT: Final = frozenset(b"\t\n\r\f\x1b") | frozenset(range(0x20, 0x7F)) | frozenset(range(0x80, 0x100))
_MIN_TEXT_BYTES: Final = 8


def what_it_is(path: Path, model_format: ModelFormat) -> str:
    """What a file is that cannot be a model of the format, in words; empty where it may be one.

    Raises OSError where it cannot be read.
    """
    with open_regular(path) as file:
        head = file.read(_HEAD_BYTES)
    tflite = head[4:8] == IDENTIFIER  # what is before it may be any number
    return ("" if tflite else _by_its_beginning(head)) or _by_its_format(path, tflite, model_format)


def _by_its_beginning(head: bytes) -> str:
    if not head:
        return "it is empty"
    for beginning, words in _BEGINNINGS:
        if head.startswith(beginning):
            return words
    if _WEB_PAGE.match(head):
        return "it is a web page or XML, not the model: download the file itself"
    if head[8:9] == b"{" and head[4:8] == bytes(4):
        return "it holds weights alone (safetensors): export the model"
    if len(head) >= _MIN_TEXT_BYTES and _TEXT.issuperset(head):
        return "it is text, no model"
    return "" if any(head) else "it begins with nothing but zeros: copy or download it again"


def _by_its_format(path: Path, tflite: bool, called: ModelFormat) -> str:
    """What is wrong with the tables of a TFLite file is said where they are read."""
    if called == "onnx":
        return "it is a TFLite model: name it .tflite" if tflite else onnx_file.flaw(path)
    return "" if tflite or onnx_file.flaw(path) else "it is an ONNX model: name it .onnx"
