# SPDX-License-Identifier: Apache-2.0
"""Parts of the recipes of models and data sets that need no TensorFlow."""

from __future__ import annotations

import gzip
import importlib.util
import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

WORKLOADS = Path(__file__).resolve().parents[3] / "workloads"


def recipe(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, WORKLOADS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def idx(array: np.ndarray) -> bytes:  # type: ignore[type-arg]
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.tobytes())


@pytest.fixture
def garments(tmp_path: Path) -> Path:
    images = np.random.default_rng(1).integers(0, 256, (70, 28, 28), np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(idx(images))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(70, dtype=np.uint8)))
    return tmp_path


def test_arrays_of_fashion_mnist(garments: Path) -> None:
    arrays, reader = recipe("data/fashion-mnist/arrays.py"), recipe("models/recipe/idx.py")
    arrays.main(garments, garments)
    test, first = np.load(garments / "test_images.npy"), np.load(garments / "first_images.npy")
    assert (test.shape, first.shape, test.dtype) == ((70, 28, 28, 1), (64, 28, 28, 1), np.uint8)
    assert (test[..., 0] == reader.read_idx(garments / "t10k-images-idx3-ubyte.gz")).all()
    assert (first == test[:64]).all()
    assert np.load(garments / "test_labels.npy").tolist() == list(range(70))
    assert np.load(garments / "first_labels.npy").tolist() == list(range(64))
    bad = garments / "t10k-images-idx3-ubyte.gz"
    bad.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 0x0D, 1, 0)))
    for read in (arrays.read_idx, reader.read_idx):
        with pytest.raises(ValueError, match="no IDX file of bytes"):
            read(bad)


class Storage:
    """Stands for torch.FloatStorage: pickled by name."""

    def __init__(self, key: str, data: np.ndarray) -> None:  # type: ignore[type-arg]
        self.key, self.data = key, data


class Named:
    """Pickled as a function of another module."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Writer(pickle._Pickler):  # type: ignore[misc, name-defined] # the one in Python can be taught names
    def persistent_id(self, thing: object) -> object:
        if isinstance(thing, Storage):
            return ("storage", Named("torch", "FloatStorage"), thing.key, "cpu", thing.data.size, None)
        return None

    def save(self, thing: object, save_persistent_id: bool = True) -> None:
        if isinstance(thing, Named):
            self.write(pickle.GLOBAL + f"{thing.module}\n{thing.name}\n".encode())
        else:
            super().save(thing, save_persistent_id)


class View:
    def __init__(self, function: Named, *arguments: object) -> None:
        self.function, self.arguments = function, arguments


def write_view(writer: Writer, view: View) -> None:
    writer.save(view.function)
    writer.save(view.arguments)
    writer.write(pickle.REDUCE)


Writer.dispatch = {**pickle._Pickler.dispatch, View: write_view}  # type: ignore[attr-defined]
REBUILD = Named("torch._utils", "_rebuild_tensor_v2")


def checkpoint(path: Path, state: object, storages: list[Storage], magic: int = 0x1950A86A20F9469CFC6C) -> Path:
    stream = io.BytesIO()
    for thing in (magic, 1001, {"little_endian": True}, state, [storage.key for storage in storages]):
        Writer(stream, 2).dump(thing)
    for storage in storages:
        stream.write(struct.pack("<q", storage.data.size) + storage.data.tobytes())
    path.write_bytes(stream.getvalue())
    return path


def test_tensors_of_a_checkpoint(tmp_path: Path) -> None:
    module = recipe("models/recipe/checkpoint.py")
    storage = Storage("k", np.arange(12, dtype="<f4"))
    state = OrderedDict(
        whole=View(REBUILD, storage, 0, (3, 4), (4, 1), False, OrderedDict()),
        turned=View(REBUILD, storage, 2, (4, 2), (1, 4), False, OrderedDict()),
    )
    found = module.read_checkpoint(checkpoint(tmp_path / "c.pth", state, [storage]))
    whole = np.arange(12, dtype=np.float32)
    assert found["whole"].tolist() == whole.reshape(3, 4).tolist()
    assert found["turned"].tolist() == [[2, 6], [3, 7], [4, 8], [5, 9]]
    assert found["turned"].dtype == np.float32


def test_a_checkpoint_that_asks_for_code_is_refused(tmp_path: Path) -> None:
    module = recipe("models/recipe/checkpoint.py")
    touched = tmp_path / "touched"
    evil = {"w": View(Named("os", "system"), f"touch {touched}")}
    with pytest.raises(pickle.UnpicklingError, match=r"asks for os\.system"):
        module.read_checkpoint(checkpoint(tmp_path / "c.pth", evil, []))
    assert not touched.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(1, (12,), (1,)), (0, (4, 4), (4, 1)), (-1, (2,), (1,)), (11, (2,), (-1,))]
)
def test_a_tensor_outside_its_storage_is_refused(
    tmp_path: Path, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    module = recipe("models/recipe/checkpoint.py")
    storage = Storage("k", np.arange(12, dtype="<f4"))
    state = {"w": View(REBUILD, storage, offset, shape, strides, False, OrderedDict())}
    with pytest.raises(ValueError, match="outside its storage"):
        module.read_checkpoint(checkpoint(tmp_path / "c.pth", state, [storage]))


def test_damaged_checkpoints(tmp_path: Path) -> None:
    module = recipe("models/recipe/checkpoint.py")
    storage = Storage("k", np.arange(12, dtype="<f4"))
    state = {"w": View(REBUILD, storage, 0, (12,), (1,), False, OrderedDict())}
    whole = checkpoint(tmp_path / "c.pth", state, [storage]).read_bytes()
    (tmp_path / "c.pth").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="another size than said"):
        module.read_checkpoint(tmp_path / "c.pth")
    with pytest.raises(ValueError, match="no PyTorch checkpoint"):
        module.read_checkpoint(checkpoint(tmp_path / "c.pth", state, [storage], magic=1))
