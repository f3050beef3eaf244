"""Layers of a ``.safetensors`` that are lumped as they stream: the same function, and little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lumpability import read
from lumpability.cli import cli
from lumpability.cli import weights as weights_commands
from lumpability.errors import FormatError, NotJustified
from lumpability.formats import streamed_weights, weight_rows
from lumpability.formats.streamed_weights import lump_weights

safetensors = pytest.importorskip("safetensors.numpy")
ml_dtypes = pytest.importorskip("ml_dtypes")

NAMES = ("gate_proj", "up_proj", "down_proj")
LAYERS = [("a", "relu"), ("b", "sigmoid"), ("c", "tanh"), ("d", None)]


def gated(weights, x, prefix=""):
    """Return silu(gate x) * up x, carried on by down, in doubles."""
    gate, up, down = (weights[f"{prefix}{name}.weight"].astype(float) for name in NAMES)
    inner = gate @ x
    return down @ (inner / (1 + np.exp(-inner)) * (up @ x))


def repeated(random, units, inputs, outputs, dtype):
    """Return a gated layer of twice as many units, each of which occurs twice; their columns are halves and zeros."""
    gate, up = (random.integers(-8, 9, (units, inputs)) for _ in range(2))
    down = random.integers(-8, 9, (outputs, units))
    order = random.permutation(2 * units)
    arrays = np.tile(gate, (2, 1))[order], np.tile(up, (2, 1))[order], np.tile(down, 2)[:, order]
    return {
        f"{n}.weight": np.ascontiguousarray(x, dtype) for n, x in zip(NAMES, arrays, strict=True)
    }


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_equal_units_of_a_gated_layer_are_merged(tmp_path, monkeypatch, dtype, chunk):
    monkeypatch.setattr(streamed_weights, "_CHUNK", chunk)
    random = np.random.default_rng(3)
    weights = repeated(random, 9, 5, 4, dtype)
    weights["gate_proj.weight"][0, 0] = 0.0
    weights["other"] = np.arange(5)
    before = {name: array.copy() for name, array in weights.items()}
    safetensors.save_file(weights, tmp_path / "net.safetensors", {"format": "pt"})
    found = lump_weights(tmp_path / "net.safetensors", tmp_path / "small.safetensors")
    small = safetensors.load_file(tmp_path / "small.safetensors")
    assert found.layers[0].units == 18
    assert found.layers[0].kept == len(small["up_proj.weight"]) <= 10
    assert found.rounding.rounded == 0
    x = random.standard_normal(5)
    np.testing.assert_allclose(gated(small, x), gated(before, x), rtol=1e-12)
    assert small["other"].tolist() == [0, 1, 2, 3, 4]
    with safetensors.safe_open(tmp_path / "small.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}
    again = lump_weights(tmp_path / "small.safetensors", tmp_path / "same.safetensors")
    assert again.layers[0].units == again.layers[0].kept
    assert (tmp_path / "same.safetensors").read_bytes() == (
        tmp_path / "small.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_units_of_one_gate_and_column_are_merged_through_the_rows_up(tmp_path, monkeypatch, chunk):
    """Units 0 and 3 have one gate and one column; unit 2 has the gate, unit 1 the column, and unit 4 is unit 1."""
    monkeypatch.setattr(streamed_weights, "_CHUNK", chunk)
    weights = {
        "gate_proj.weight": np.array([[1, 2], [3, 4], [1, 2], [1, 2], [3, 4]], np.float32),
        "up_proj.weight": np.array([[1, 0], [5, 6], [7, 8], [2, -9], [5, 6]], np.float32),
        "up_proj.bias": np.array([1, 2, 3, 4, 2], np.float32),
        "down_proj.weight": np.array([[1, 1, 2, 1, 7], [0, 0, 1, 0, 0]], np.float32),
    }
    safetensors.save_file(weights, tmp_path / "net.safetensors")
    found = lump_weights(tmp_path / "net.safetensors", tmp_path / "small.safetensors")
    assert (found.layers[0].classes, found.layers[0].kept, found.rounding.rounded) == (3, 3, 0)
    small = safetensors.load_file(tmp_path / "small.safetensors")
    assert small["gate_proj.weight"].tolist() == [[1, 2], [3, 4], [1, 2]]
    assert small["up_proj.weight"].tolist() == [[3, -9], [5, 6], [7, 8]]
    assert small["up_proj.bias"].tolist() == [5, 2, 3]
    assert small["down_proj.weight"].tolist() == [[1, 8, 2], [0, 0, 1]]


@given(st.data())
def test_a_reduced_gated_layer_computes_the_same_function(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("gated")
    units = data.draw(st.integers(1, 6))
    values = st.sampled_from([-1.0, -0.0, 0.0, 1.0])

    def matrix(rows, columns):
        row = st.lists(values, min_size=columns, max_size=columns)
        return np.array(data.draw(st.lists(row, min_size=rows, max_size=rows)), np.float32)

    shapes = ((units, 2), (units, 2), (2, units))
    weights = {f"{n}.weight": matrix(*shape) for n, shape in zip(NAMES, shapes, strict=True)}
    paths = [folder / f"{name}.safetensors" for name in ("net", "small", "smaller")]
    safetensors.save_file(weights, paths[0])
    for before, after in pairwise(paths):
        lump_weights(before, after)
        x = np.array([0.7, -1.3])
        small = safetensors.load_file(after)
        np.testing.assert_allclose(gated(small, x), gated(weights, x), rtol=1e-6, atol=1e-9)


@given(st.data())
def test_a_sequence_of_layers_computes_the_same_function_with_no_equal_units(
    tmp_path_factory, data
):
    """Weights are small integers, so that sums are exact; layer b merges only after a has merged."""
    folder = tmp_path_factory.mktemp("layers")
    small = st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.0])
    sizes = [data.draw(st.integers(1, 4)) for _ in range(5)]
    arrays = {}
    for (name, _), inputs, outputs in zip(LAYERS, sizes, sizes[1:], strict=False):
        rows = st.lists(small, min_size=inputs, max_size=inputs)
        weight = data.draw(st.lists(rows, min_size=outputs, max_size=outputs))
        arrays[f"{name}.weight"] = np.array(weight, np.float32)
        if data.draw(st.booleans()):
            bias = data.draw(st.lists(small, min_size=outputs, max_size=outputs))
            arrays[f"{name}.bias"] = np.array(bias, np.float32)
    safetensors.save_file(arrays, folder / "net.safetensors")
    found = lump_weights(folder / "net.safetensors", folder / "small.safetensors", layers=LAYERS)
    network = read(folder / "net.safetensors", layers=LAYERS)
    reduced = read(folder / "small.safetensors", layers=LAYERS)
    points = np.random.default_rng(0).standard_normal((3, sizes[0])).astype(np.float32)
    np.testing.assert_allclose(reduced(points), network(points), rtol=1e-4, atol=1e-5)
    stored = safetensors.load_file(folder / "small.safetensors")
    for layer, after in zip(found.layers, "bcd", strict=True):
        rows = [
            stored[name]
            for name in (f"{layer.name}.weight", f"{layer.name}.bias")
            if name in stored
        ]
        rows = np.column_stack(rows) + 0.0
        assert len(rows) == layer.kept == len(np.unique(rows, axis=0))
        # A unit of a layer before the last may have an effect on removed units alone.
        assert after != "d" or layer.kept == 1 or stored["d.weight"].any(axis=0).all()


def test_columns_that_cancel_leave_a_unit_without_effect(tmp_path):
    weights = {
        "a.weight": np.array([[1, 2], [1, 2], [3, 4]], np.float32),
        "b.weight": np.array([[5, -5, 1]], np.float32),
    }
    safetensors.save_file(weights, tmp_path / "net.safetensors")
    found = lump_weights(
        tmp_path / "net.safetensors",
        tmp_path / "small.safetensors",
        layers=[("a", "relu"), ("b", None)],
    )
    assert (found.layers[0].classes, found.layers[0].kept) == (2, 1)
    assert safetensors.load_file(tmp_path / "small.safetensors")["a.weight"].tolist() == [[3, 4]]


def test_sums_that_the_type_cannot_hold_are_rounded_and_counted_or_refused(tmp_path):
    """1 + 2^-30 needs more digits than float32; 1 + 2^-60 more than float64, too."""
    row = np.ones((3, 2), np.float32)
    for small in (2.0**-30, 2.0**-60):
        down = np.array([[1, small, 0], [1, 1, 0]], np.float32)
        safetensors.save_file({"a.weight": row, "b.weight": down}, tmp_path / "net.safetensors")
        arguments = (tmp_path / "net.safetensors", tmp_path / f"{small}.safetensors")
        layers = [("a", "relu"), ("b", None)]
        found = lump_weights(*arguments, layers=layers).rounding
        assert (found.rounded, found.largest) == (1, small)
        assert safetensors.load_file(arguments[1])["b.weight"].tolist() == [[1], [2]]
        with pytest.raises(NotJustified, match="cannot hold 1 of its new weights"):
            lump_weights(*arguments, layers=layers, exact_weights=True)


def test_rows_that_are_equal_only_after_rounding_are_not_merged(tmp_path):
    """The sums 1 + 2^-30 and 1 + 2^-31 are rounded to one float."""
    weights = {
        "a.weight": np.ones((2, 2), np.float32),
        "b.weight": np.array([[1, 2.0**-30], [1, 2.0**-31], [1, 2.0**-31]], np.float32),
        "c.weight": np.array([[1, 2, 3]], np.float32),
    }
    safetensors.save_file(weights, tmp_path / "net.safetensors")
    layers = [("a", "relu"), ("b", "relu"), ("c", None)]
    found = lump_weights(tmp_path / "net.safetensors", layers=layers)
    assert [layer.kept for layer in found.layers] == [1, 2]


def test_rows_with_one_hash_are_compared(tmp_path, monkeypatch):
    """With hashes that are all zero at first, rows that differ are told apart by the second random numbers."""
    seeds, hash_of = [], streamed_weights.hash_of

    def colliding(bits, seed):
        seeds.append(seed[0])
        return np.zeros(len(bits), np.uint64) if seed[0] == 0 else hash_of(bits, seed)

    monkeypatch.setattr(streamed_weights, "hash_of", colliding)
    safetensors.save_file(
        repeated(np.random.default_rng(1), 6, 3, 2, np.float32), tmp_path / "net.safetensors"
    )
    assert lump_weights(tmp_path / "net.safetensors").layers[0].classes == 6
    assert sorted(set(seeds)) == [0, 1]


def test_gates_and_columns_with_one_hash_are_compared(tmp_path, monkeypatch):
    """Hashes of the rows up differ, and all others are equal with the first random numbers."""
    hash_of = streamed_weights.hash_of

    def colliding(bits, seed):
        found = hash_of(bits, seed)
        return found if seed[0] or seed[1:] == [1, 0] else np.zeros_like(found)

    monkeypatch.setattr(streamed_weights, "hash_of", colliding)
    random = np.random.default_rng(2)
    shapes = [(6, 3), (6, 3), (2, 6)]
    weights = {
        f"{n}.weight": random.standard_normal(s).astype(np.float32)
        for n, s in zip(NAMES, shapes, strict=True)
    }
    safetensors.save_file(weights, tmp_path / "net.safetensors")
    assert lump_weights(tmp_path / "net.safetensors").layers[0].classes == 6


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_rows_of_round_numbers_have_hashes_of_their_own(dtype):
    """The last bits of such floats are zeros, and stay zeros in products modulo 2^64."""
    values = np.array([-1, 0, 0.5, 1, 2], dtype)
    rows = values[np.array(list(np.ndindex(5, 5, 5, 5)))]
    found = weight_rows.hash_of(weight_rows.bits_of(rows, "rows"), [0, 0, 0])
    assert len(np.unique(found)) == len(rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gate_proj.weight": np.full((2, 2), np.nan, np.float32)}, "not finite"),
        ({"down_proj.weight": np.full((1, 2), np.inf, np.float32)}, "not finite"),
        ({"up_proj.weight": np.ones((3, 2), np.float32)}, "have 2, 3 rows"),
        ({"up_proj.weight": np.ones((2, 2), np.int8)}, "is I8 of shape"),
        ({"down_proj.weight": np.full((1, 2), 3e38, np.float32)}, "too large"),
        ({"up_proj.weight": None}, "no gated layers by name"),
    ],
)
def test_weights_that_cannot_be_lumped_are_refused(tmp_path, changes, message):
    weights = {f"{name}.weight": np.ones((2, 2), np.float32) for name in NAMES[:2]}
    weights |= {"down_proj.weight": np.ones((1, 2), np.float32), **changes}
    path = tmp_path / "net.safetensors"
    safetensors.save_file({k: x for k, x in weights.items() if x is not None}, path)
    with pytest.raises(FormatError, match=message):
        lump_weights(path, tmp_path / "small.safetensors")
    assert not (tmp_path / "small.safetensors").exists()


def test_the_commands_take_weights_without_a_list_of_layers(tmp_path, monkeypatch):
    random = np.random.default_rng(5)
    weights = {f"mlp.{k}": x for k, x in repeated(random, 8, 3, 2, ml_dtypes.bfloat16).items()}
    path, small = str(tmp_path / "net.safetensors"), str(tmp_path / "small.safetensors")
    safetensors.save_file(weights, path)
    text = resources.files("lumpability").joinpath("schemas/output.schema.json").read_text()
    for command in (["info", path], ["lump", path, "-o", small]):
        assert CliRunner().invoke(cli, command).exit_code == 0
        result = CliRunner().invoke(cli, [*command, "--json"])
        jsonschema = pytest.importorskip("jsonschema")
        jsonschema.validate(json.loads(result.stdout), json.loads(text))
    assert len(safetensors.load_file(small)["mlp.up_proj.weight"]) == 8
    layers = ["--layers", "mlp.up_proj:relu,mlp.down_proj"]
    assert "bit by bit" not in CliRunner().invoke(cli, ["lump", path, *layers]).stdout
    monkeypatch.setattr(weights_commands, "half_of_memory", lambda: 0)
    result = CliRunner().invoke(cli, ["lump", path, *layers])
    assert "equal, bit by bit" in result.stdout
    result = CliRunner().invoke(cli, ["lump", path, "--html", "page.html"])
    assert result.exit_code == 2
    assert "--html is not for weights without a list of layers" in result.stderr


@pytest.mark.slow
def test_a_file_of_a_hundred_megabytes_adds_about_its_size_to_memory_at_most(tmp_path):
    """The process is measured before and after; the file holds 100 MB of bfloat16."""
    random = np.random.default_rng(0)
    shapes = {"gate_proj": (8192, 2048), "up_proj": (8192, 2048), "down_proj": (2048, 8192)}
    weights = {
        f"{name}.weight": random.integers(0x3C00, 0x4000, shape, np.uint16).view(ml_dtypes.bfloat16)
        for name, shape in shapes.items()
    }
    for name in ("gate_proj.weight", "up_proj.weight"):
        weights[name][4096:] = weights[name][:4096]
    safetensors.save_file(weights, tmp_path / "net.safetensors")
    script = (
        "import sys, resource, ml_dtypes; from lumpability.formats.streamed_weights import lump_weights; "
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; start = peak(); "
        "found = lump_weights(*sys.argv[1:]); print(found.layers[0].kept, peak() - start)"
    )
    paths = [str(tmp_path / "net.safetensors"), str(tmp_path / "small.safetensors")]
    done = subprocess.run(
        [sys.executable, "-c", script, *paths], capture_output=True, text=True, check=True
    )
    kept, grown = map(int, done.stdout.split())
    assert kept == 4096
    assert grown < 110_000  # kilobytes
