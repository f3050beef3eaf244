"""Files of arrays plus a list of layers; two networks side by side in onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpability import lump, read, write
from lumpability.errors import FormatError, InvalidInput, NotJustified, SizeLimit
from lumpability.formats.numpy_archive import read_archive
from lumpability.formats.onnx_compare import compare_in_onnxruntime
from lumpability.formats.weights import read_safetensors
from lumpability.networks import Network
from lumpability.networks.examples import planted
from lumpability.networks.regions import Box
from lumpability.networks.reshape import Flatten
from lumpability.networks.rounding_bound import rounding_error_bound

ARRAYS = {
    "a.weight": np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32),
    "a.bias": np.array([1, 0, -1], dtype=np.float32),
    "b.weight": np.array([[1, 1, 1]], dtype=np.float32),
}
LAYERS = [("a", "relu"), ("b", None)]


def test_arrays_by_name_become_a_network(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **ARRAYS)
    network = read_archive(tmp_path / "w.npz", layers=LAYERS)
    assert network.exact([1, 1]).tolist() == [4 + 7 + 10]
    assert read(tmp_path / "w.npz", layers=LAYERS).exact([1, 1]).tolist() == [21]
    safetensors: Any = pytest.importorskip("safetensors.numpy")
    safetensors.save_file(ARRAYS, tmp_path / "w.safetensors")
    again = read(tmp_path / "w.safetensors", layers=LAYERS)
    assert again.exact([1, 1]).tolist() == [21]


def test_damaged_files_and_missing_arrays_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(b"\x00" * 32)
    with pytest.raises(FormatError, match="is not a"):
        read_archive(path, layers=LAYERS)
    np.savez(tmp_path / "w.npz", **ARRAYS)
    with pytest.raises(FormatError, match=r"no array 'c\.weight'"):
        read_archive(tmp_path / "w.npz", layers=[("c", None)])
    with pytest.raises(FormatError, match="list of layers is empty"):
        read_archive(tmp_path / "w.npz", layers=[])
    with pytest.raises(FormatError, match="without a list of layers"):
        read_archive(tmp_path / "w.npz")
    np.savez(tmp_path / "p.npz", a=np.array([{}], dtype=object))
    with pytest.raises(FormatError, match="never read"):
        read_archive(tmp_path / "p.npz", layers=LAYERS)
    safetensors: Any = pytest.importorskip("safetensors.numpy")
    with pytest.raises(FormatError, match="is not a"):
        read_safetensors(path, layers=LAYERS)
    safetensors.save_file(ARRAYS, tmp_path / "w.safetensors")
    with pytest.raises(FormatError, match="without a list of layers"):
        read(tmp_path / "w.safetensors")
    with pytest.raises(SizeLimit, match="more than 10 bytes"):
        read(tmp_path / "w.safetensors", layers=LAYERS, max_bytes=10)


def test_only_the_layers_that_are_named_are_read_of_a_safetensors(tmp_path: Path) -> None:
    """A tensor of four gigabytes lies between them, in a file with a hole."""
    pytest.importorskip("safetensors")
    path, first, hole = tmp_path / "large.safetensors", np.float32([[1, 2], [3, 4]]), 1 << 32
    places = {
        "a.weight": ([2, 2], 0),
        "b.weight": ([1 << 15, 1 << 15], 16),
        "c.weight": ([1, 2], 16 + hole),
    }
    header = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [low, low + 4 * shape[0] * shape[1]]}
        for name, (shape, low) in places.items()
    }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + first.tobytes())
        file.seek(hole, 1)
        file.write(np.float32([[5, 6]]).tobytes())
    layers = [("a", "relu"), ("c", None)]
    network = read(path, layers=layers, max_bytes=100)
    assert [layer.weight.T.tolist() for layer in (network.layers[0], network.layers[-1])] == [
        first.tolist(),
        [[5, 6]],
    ]
    with pytest.raises(SizeLimit, match="more than 100 bytes"):
        read(path, layers=[*layers, ("b", None)], max_bytes=100)


def test_a_comparison_counts_equal_points() -> None:
    pytest.importorskip("onnxruntime")
    wide, _ = planted([2, 3, 2], 2, dtype=np.float32, bits=2)
    quotient = lump(wide).quotient
    found = compare_in_onnxruntime(wide, quotient, 50)
    assert found.points == 50
    assert found.largest_difference < 1e-4
    other = Network.dense([([[1], [1], [1]], None, None)])
    with pytest.raises(InvalidInput, match="equal input shapes"):
        compare_in_onnxruntime(wide, other)


def test_the_error_of_rounding_stays_below_its_bound() -> None:
    random = np.random.default_rng(0)
    base = random.normal(size=(3, 20))
    first = np.concatenate([base, 3 * base.astype(np.float32)], axis=1)
    network = Network.dense(
        [
            (first, None, "relu"),
            (random.normal(size=(40, 10)), random.normal(size=10), "tanh"),
            (random.normal(size=(10, 2)), None, None),
        ],
        dtype=np.float32,
    )
    lumping = lump(network)
    wide = lump(network, dtype="float64")
    assert lumping.rounding.rounded > 0
    bound = rounding_error_bound(lumping, -1, 1)
    stored = lump(network).quotient
    for _ in range(50):
        x = random.uniform(-1, 1, size=3).astype(np.float32)
        error = np.abs(stored(x).astype(np.float64) - wide.quotient(x.astype(np.float64)))
        assert (error <= bound + 1e-4).all()  # 1e-4: float32 execution itself
    assert (bound < 1e-3).all()
    tiny: list[Any] = [([[1, 1]], None, "sign"), ([[1], [2.0**-30]], None, None)]
    steps = lump(Network.dense(tiny, dtype=np.float32))
    with pytest.raises(NotJustified, match="sign"):
        rounding_error_bound(steps, -1, 1)


def test_narrow_floats_of_safetensors_are_the_float32_that_they_are(tmp_path: Path) -> None:
    types: Any = pytest.importorskip("ml_dtypes")
    pytest.importorskip("safetensors")
    path = tmp_path / "narrow.safetensors"
    for kind, name in (
        (types.bfloat16, "BF16"),
        (types.float8_e4m3fn, "F8_E4M3"),
        (types.float8_e5m2, "F8_E5M2"),
    ):
        header, data = {}, b""
        for key, values in (("a", [[1.5, -0.25], [3, -0.5]]), ("b", [[2.0, 1]])):
            array = np.array(values).astype(kind)
            ends = [len(data), len(data) + array.nbytes]
            header[f"{key}.weight"] = {"dtype": name, "shape": array.shape, "data_offsets": ends}
            data += array.tobytes()
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data)
        network = read(path, layers=LAYERS)
        assert network.dtype == np.float32
        assert network.exact([1, 0]).tolist() == [2 * 1.5 + 3]
        assert lump(network).quotient.hidden_neurons == 1


def test_weights_with_more_axes_are_convolutions(tmp_path: Path) -> None:
    weight = np.ones((2, 1, 3, 3), np.float32)
    arrays = {"c.weight": weight, "c.bias": np.zeros(2, np.float32)}
    np.savez(tmp_path / "c.npz", **arrays, **{"f.weight": np.ones((1, 2 * 16), np.float32)})
    how = {"input_shape": (None, 1, 4, 4), "pads": ((1, 1), (1, 1))}
    network = read(tmp_path / "c.npz", layers=[("c", "relu", how), Flatten(1), ("f", None)])
    assert network(np.ones((1, 1, 4, 4), np.float32)).tolist() == [[2 * 100]]
    assert lump(network).quotient.hidden_neurons == 1
    with pytest.raises(FormatError, match="no size of its own"):
        read(tmp_path / "c.npz", layers=[("c", "relu")])
    with pytest.raises(FormatError, match="has no 'stride': it has strides"):
        read(tmp_path / "c.npz", layers=[("c", "relu", {"stride": 1})])


def test_names_stay_where_a_skip_is_stored_beside_a_layer(tmp_path: Path) -> None:
    """Merging units of opposite sign makes two layers of one: only the first has its name."""
    tensors: Any = pytest.importorskip("safetensors.numpy")
    first = np.random.default_rng(0).integers(1, 9, (2, 8)).astype(np.float32)
    first, last = np.concatenate([first, -first]), np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {"0.weight": first, "2.weight": last}
    tensors.save_file(arrays, tmp_path / "w.safetensors")
    network = read(tmp_path / "w.safetensors", layers=[("0", "relu"), ("2", None)])
    quotient, point = lump(network, antiparallel=True).quotient, [*range(7), "-1/3"]
    for name in ("small.safetensors", "small.npz"):
        write(quotient, tmp_path / name)
        assert read(tmp_path / name).exact(point).tolist() == network.exact(point).tolist()
    shapes = {k: v.shape for k, v in tensors.load_file(tmp_path / "small.safetensors").items()}
    assert shapes == {"0.weight": (2, 8), "2.weight": (3, 2), "_2.weight": (3, 2)}


def test_names_stay_when_a_network_is_reduced_on_a_region(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **ARRAYS)
    network = read(tmp_path / "w.npz", layers=LAYERS)
    lumping = lump(network, region=Box.around([1, 1], 0.5))
    write(lumping.quotient, tmp_path / "small.npz")
    with np.load(tmp_path / "small.npz") as found:
        assert found["a.weight"].shape == (found["b.weight"].shape[1], 2)
        assert found["a.bias"].shape == found["a.weight"].shape[:1]
