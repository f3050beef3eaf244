"""The same commands for networks: what they print, what they write, what they refuse."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumpability import Network, formats, lump
from lumpability.networks.examples import planted, widened

Run = Callable[..., Any]
POINT = [1, "-1/3", 2]


@pytest.fixture
def wide(tmp_path: Path) -> Network:
    """A network with planted copies, as wide.nnet: 56 hidden neurons, 14 of which are needed."""
    network, _ = planted([3, 8, 6, 2], copies=4)
    formats.write(network, tmp_path / "wide.nnet")
    read: Network = formats.read(tmp_path / "wide.nnet")
    return read


@pytest.fixture
def thirds(tmp_path: Path) -> Path:
    """A network whose quotient has a weight, 1 + 2^-30, that float32 cannot hold."""
    pytest.importorskip("onnx")
    layers = [([[1, 1]], None, "relu"), ([[1], [2.0**-30]], [0], None)]
    formats.write(Network.dense(layers, dtype="float32"), tmp_path / "thirds.onnx")
    return tmp_path / "thirds.onnx"


def test_lump_prints_sizes_layers_proof_and_what_exact_means(run: Run, wide: Network) -> None:
    result = run("lump", "wide.nnet")
    assert (result.exit_code, result.stderr) == (
        0,
        "Hint: write the lumped model with -o, for example -o small.onnx\n",
    )
    assert "hidden neurons  56 -> 14  (4 times smaller)" in result.stdout
    assert "parameters      970 -> 100  (9.7 times smaller)" in result.stdout
    assert "smaller, and the same function for every input\n" in result.stdout
    assert "A W = W^ A and b = b^ A hold exactly in all 3 layers" in result.stdout
    assert "exact over the reals for the stored weights" in result.stdout
    assert "is representable in float64: none was rounded" in result.stdout
    table = result.stdout.split("neurons by layer\n")[1].splitlines()
    headings = (
        "layer kind before after identical proportional antiparallel constant dead kept because"
    )
    assert table[0].split() == headings.split()
    assert table[1].split() == ["0", "Dense", "32", "8", "5", "19", "0", "0", "0"]
    assert table[3].split() == ["4", "Dense", "2", "2", "0", "0", "0", "0", "0", "output"]


def test_json_and_report_are_one_document_with_documented_keys(
    run: Run, wide: Network, tmp_path: Path
) -> None:
    options = ["-o", "small.nnet", "--partition", "p.json", "--report", "report.json", "--json"]
    result = run("lump", "wide.nnet", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    document = result.document
    assert json.loads((tmp_path / "report.json").read_text()) == document
    assert list(document) == [
        *("lumpability", "command", "path", "model", "lumping", "written", "seconds", "warnings")
    ]
    assert document["written"] == {
        "quotient": "small.nnet",
        "partition": "p.json",
        "html": None,
        "certificate": None,
        "interval": None,
        "report": "report.json",
    }
    assert list(document["model"]) == [
        *("class", "dtype", "input", "output", "hidden_neurons", "parameters", "operations"),
        *("bytes", "layers", "barriers"),
    ]
    lumping = document["lumping"]
    assert list(lumping) == [
        *("kind", "result", "before", "after", "layers", "origin", "weights", "meaning", "seconds"),
        *("irreducible", "proof", "engine", "factors", "barriers", "bound", "graph"),
        *("comparison", "latency"),
    ]
    assert (lumping["before"]["hidden_neurons"], lumping["after"]["hidden_neurons"]) == (56, 14)
    assert lumping["irreducible"] is False
    expected = lump(wide)
    assert lumping["origin"] == expected.origin
    assert lumping["factors"] == [[str(c) for c in layer] for layer in expected.factors]


def test_what_lump_writes_is_the_same_function_and_a_partition_that_check_accepts(
    run: Run, wide: Network
) -> None:
    for name in ("p.json", "p.txt"):
        assert run("lump", "wide.nnet", "-o", "small.nnet", "--partition", name).exit_code == 0
        small = formats.read("small.nnet")
        assert small.hidden_neurons == 14
        assert small.exact(POINT).tolist() == wide.exact(POINT).tolist()
        result = run("check", "wide.nnet", name)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "verdict    yes" in result.stdout
        assert "58 neurons in 16 blocks" in result.stdout
    again = run("lump", "small.nnet", "--json").document["lumping"]
    assert again["result"] == "irreducible: every layer's neurons are pairwise distinguishable"
    assert again["irreducible"] is True


def test_check_says_no_with_two_neurons_and_two_exact_sums(run: Run, tmp_path: Path) -> None:
    layers = [([[1, 2, 1]], [1, 1, 5], "relu"), ([[1], [1], [1]], [0], None)]
    formats.write(Network.dense(layers), tmp_path / "n.nnet")
    (tmp_path / "p.json").write_text('[["0:0", "0:1"], ["0:2"], ["2:0"]]')
    result = run("check", "n.nnet", "p.json")
    assert result.exit_code == 1
    assert "lumpability lump n.nnet --within p.json\n" in result.stderr
    assert "units 0 and 1 of layer 0: their sums from inputs [0] are 1 and 2, but" in result.stdout
    verdict = run("check", "n.nnet", "p.json", "--json").document["verdict"]
    assert verdict["lumpable"] is False
    assert verdict["witness"]["layer"] == 0
    assert verdict["witness"]["neurons"] == [0, 1]
    assert verdict["witness"]["sums"] == ["1", "1"]
    assert verdict["witness"]["factor"] == "2"
    (tmp_path / "p.json").write_text('[["0:0", "2:0"], ["0:1"], ["0:2"]]')
    run("check", "n.nnet", "p.json").assert_refused("unit 3 shares a class", "another layer")
    (tmp_path / "p.json").write_text('[["0:9"]]')
    run("check", "n.nnet", "p.json").assert_refused("p.json", "'0:9'")


def test_kinds_are_those_of_networks(run: Run, wide: Network) -> None:
    left = {
        kind: run("lump", "wide.nnet", "--kind", kind, "--json").document["lumping"]["after"]
        for kind in ("proportional", "exact")
    }
    assert left["proportional"]["hidden_neurons"] < left["exact"]["hidden_neurons"] < 56
    message = ("unknown kind 'ordinary'", "proportional, exact")
    run("lump", "wide.nnet", "--kind", "ordinary").assert_refused(*message)


@pytest.mark.parametrize(
    ("model", "option", "word"),
    [
        ("wide.nnet", ["--respect", "labels"], "--respect is not for a Network"),
        ("wide.nnet", ["--ignore", "up"], "--ignore is not for a Network"),
        ("machines.json", ["--dtype", "float32"], "--dtype is not for a CTMC"),
        ("machines.json", ["--antiparallel"], "--antiparallel is not for a CTMC"),
        ("machines.json", ["--exact-weights"], "--exact-weights is not for a CTMC"),
        ("machines.json", ["--compare", "5"], "--compare is not for a CTMC"),
        ("machines.json", ["--range", "0", "1"], "--range is not for a CTMC"),
        ("wide.nnet", ["--range", "1", "0"], "the smaller first"),
        ("wide.nnet", ["--range", "0", "nan"], "the smaller first"),
        ("wide.nnet", ["--compare", "0"], "--compare"),
        ("wide.nnet", ["--dtype", "int8"], "--dtype"),
    ],
)
def test_an_option_of_the_other_wing_is_wrong_usage(
    run: Run, wide: Network, machines: Path, model: str, option: list[str], word: str
) -> None:
    result = run("lump", model, "-o", "out.onnx", *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert word in result.stderr
    assert not Path("out.onnx").exists()


def test_a_weight_that_the_type_cannot_hold_is_rounded_with_a_bound_kept_or_refused(
    run: Run, thirds: Path
) -> None:
    result = run("lump", "thirds.onnx", "-o", "small.onnx", "--range", "-2", "2")
    assert result.exit_code == 0
    assert "1 of 3 are not representable in float32 and were rounded" in result.stdout
    assert "moves no output by more than 1.86e-09 for inputs between -2 and 2" in result.stdout
    assert "the same function for every input before rounding" in result.stdout
    bound = run("lump", "thirds.onnx", "--json").document["lumping"]["bound"]
    assert bound["box"] == ["-1.0", "1.0"]
    assert 2.0**-30 <= float(bound["largest"]) < 2.0**-30 * 1.001
    Path("small.onnx").write_text("old")
    refused = run("lump", "thirds.onnx", "-o", "small.onnx", "--exact-weights")
    refused.assert_refused("1 of 3", "not representable")
    assert Path("small.onnx").read_text() == "old"
    kept = run("lump", "thirds.onnx", "-o", "small.onnx", "--exact-weights", "--dtype", "float64")
    assert kept.exit_code == 0
    assert "is representable in float64: none was rounded" in kept.stdout
    network, small = formats.read("thirds.onnx"), formats.read("small.onnx")
    assert small.exact([3]).tolist() == network.exact([3]).tolist()


def test_where_no_bound_is_known_that_is_said(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from lumpability.networks.layers import Conv

    third = np.full((1, 1, 3, 3), 1 / 3, dtype=np.float32)
    formats.write(Network((Conv(third),), (1, 1, 5, 5)), tmp_path / "conv.onnx")
    result = run("lump", "conv.onnx", "--dtype", "float16")
    assert result.exit_code == 0
    assert "no bound: there is no error bound for a layer Conv" in result.stdout
    bound = run("lump", "conv.onnx", "--dtype", "float16", "--json").document["lumping"]["bound"]
    assert bound["largest"] is None


def test_compare_measures_with_onnxruntime(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    small = planted([3, 8, 2], copies=1, dtype=np.float32)[1]
    formats.write(small, tmp_path / "small.onnx")
    formats.write(widened(small, 4), tmp_path / "wide.onnx")
    result = run("lump", "wide.onnx", "--compare", "25")
    assert result.exit_code == 0
    shown = (
        r"onnxruntime: outputs bitwise equal at \d+ of 25 random points, largest difference \S+\n"
    )
    assert re.search(shown, result.stdout)
    found = run("lump", "small.onnx", "--compare", "5", "--json").document["lumping"]["comparison"]
    assert found == {"points": 5, "bitwise_equal": 5, "largest_difference": "0.0"}
    narrow = run("lump", "wide.onnx", "--dtype", "float16", "--compare", "5", "-o", "half.onnx")
    assert narrow.exit_code == 0
    assert "float32 -> float16, of inputs and outputs too" in narrow.stdout
    assert 0 < float(re.search(r"largest difference (\S+)", narrow.stdout)[1]) < 10


def test_what_onnxruntime_cannot_do_is_said_before_anything_is_written(
    run: Run, wide: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    onnxruntime: Any = pytest.importorskip("onnxruntime")

    def fails(*_: object, **__: object) -> None:
        raise onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented("no kernel")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    options = ["--compare", "5", "-o", "small.nnet", "--report", "r.json"]
    run("lump", "wide.nnet", *options).assert_refused("onnxruntime cannot run", "no kernel")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    run("lump", "wide.nnet", *options).assert_refused("pip install 'lumpability[onnx]'")
    assert [path.name for path in tmp_path.iterdir()] == ["wide.nnet"]


def test_a_barrier_is_named(run: Run, tmp_path: Path) -> None:
    onnx: Any = pytest.importorskip("onnx")
    helper = onnx.helper
    twins = onnx.numpy_helper.from_array(np.ones((2, 2), dtype=np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Cos", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, 1, [None, 2]) for name in "xy"]
    graph = helper.make_graph(nodes, "cos", ends[:1], ends[1:], [twins])
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=7)
    (tmp_path / "cos.onnx").write_bytes(model.SerializeToString())
    for command in (["lump", "--kind", "proportional"], ["lump", "--dtype", "float64"]):
        result = run(*command, "cos.onnx")
        assert result.exit_code == 0
        assert "layer 1, opaque Cos: an unknown operator, kept unchanged" in result.stdout
    found = run("lump", "cos.onnx", "--kind", "proportional", "--json").document["lumping"]
    assert found["barriers"][0]["title"] == "opaque Cos"
    assert "kept as they are: units before opaque Cos" in found["result"]
    assert run("convert", "cos.onnx", "again.onnx").exit_code == 0


def test_neurons_of_opposite_sign_are_merged_when_asked_for(run: Run, tmp_path: Path) -> None:
    first = [[1, -1, 2, -2], [3, -3, 1, -1], [0, 0, 1, -1]]
    network = Network.dense([(first, None, "relu"), ([[1], [2], [3], [4]], [0], None)])
    pytest.importorskip("onnx")
    formats.write(network, tmp_path / "n.onnx")
    assert run("lump", "n.onnx", "--json").document["lumping"]["irreducible"] is True
    result = run("lump", "n.onnx", "--antiparallel", "-o", "small.onnx", "--json")
    row = result.document["lumping"]["layers"][0]
    assert (row["units"], row["left"], row["antiparallel"]) == (4, 2, 2)
    small = formats.read("small.onnx")
    assert small.exact(POINT).tolist() == network.exact(POINT).tolist()
    rounded = run("lump", "n.onnx", "--antiparallel", "--dtype", "float16")
    assert rounded.exit_code == 0


def test_shrink_of_a_masked_network_is_lump_and_arrays_become_smaller(
    run: Run, tmp_path: Path
) -> None:
    network = planted([3, 8, 6, 2], copies=1)[0]
    layers = list(network.layers)
    for number, axis in ((0, 1), (2, 0)):  # five neurons masked: nothing in, or nothing out
        weight = layers[number].weight.copy()  # type: ignore[attr-defined]
        bias = layers[number].bias.copy()  # type: ignore[attr-defined]
        if axis:
            weight[:, :3], bias[:3] = 0, 0
        else:
            weight[3:5] = 0
        layers[number] = type(layers[number])(weight, bias)  # type: ignore[call-arg]
    masked = Network(tuple(layers), network.input_shape, network.dtype)
    formats.write(masked, tmp_path / "masked.nnet")
    result = run("shrink", "masked.nnet", "-o", "small.nnet", "--json")
    assert result.exit_code == 0
    small = formats.read("small.nnet")
    assert (small.hidden_neurons, small.parameter_count) < (14, masked.parameter_count)
    assert small.exact(POINT).tolist() == masked.exact(POINT).tolist()
    first = result.document["lumping"]["layers"][0]
    assert (first["units"], first["left"], first["constant"], first["dead"]) == (8, 3, 3, 2)
    assert result.document["command"] == "shrink"
    same = run("lump", "masked.nnet", "--json").document["lumping"]
    assert {**same, "seconds": 0} == {**result.document["lumping"], "seconds": 0}


def test_info_and_convert_serve_networks(run: Run, wide: Network, machines: Path) -> None:
    result = run("info", "wide.nnet")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "Network"
    assert "hidden neurons  56" in result.stdout
    model = run("info", "wide.nnet", "--json").document["model"]
    assert (model["class"], model["parameters"], model["input"]["shape"]) == (
        *("Network", 970),
        [None, 3],
    )
    run("convert", "wide.nnet", "wide.drn").assert_refused("wide.drn", "hold a chain")
    run("convert", "machines.json", "m.onnx").assert_refused("m.onnx", "hold a network")
    run("convert", "wide.nnet", "w.nnet", "--value-type", "double").assert_refused("'value_type'")
    pytest.importorskip("onnx")
    for source, target in (
        ("wide.nnet", "a.onnx"),
        ("a.onnx", "b.onnx.gz"),
        ("b.onnx.gz", "c.nnet"),
    ):
        assert run("convert", source, target).exit_code == 0
    assert formats.read("c.nnet").exact(POINT).tolist() == wide.exact(POINT).tolist()


def _damaged(folder: Path) -> dict[str, tuple[str, ...]]:
    """Write files that are wrong in one way each; return what the message must name."""
    onnx: Any = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper

    def model(operator: str, weight: np.ndarray[Any, Any], **external: str) -> bytes:
        stored = numpy_helper.from_array(weight, "w")
        if external:
            stored.ClearField("raw_data")
            stored.data_location = onnx.TensorProto.EXTERNAL
            for key, value in external.items():
                stored.external_data.add(key=key, value=value)
        ends = [helper.make_tensor_value_info(name, 1, [1, 2]) for name in "xy"]
        node = helper.make_node(operator, ["x", "w"], ["y"])
        graph = helper.make_graph([node], "g", ends[:1], ends[1:], [stored])
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        data: bytes = made.SerializeToString()
        return data

    eye = np.eye(2, dtype=np.float32)
    holed = eye.copy()
    holed[1, 0] = np.nan
    files = {
        "protobuf.onnx": (b"\x07 no protobuf", ("damaged",)),
        "cut.onnx": (model("MatMul", eye)[:-5], ("cut.onnx",)),
        "missing.onnx": (model("MatMul", eye, location="w.bin"), ("'w'", "'w.bin'")),
        "escape.onnx": (model("MatMul", eye, location="../w.bin"), ("outside",)),
        "nan.onnx": (model("MatMul", holed), ("nan", "[1, 0]", "'w'")),
        "integers.onnx": (model("MatMul", eye.astype(np.int32)), ("int32",)),
        "packed.onnx.gz": (b"\x1f\x8b no gzip", ("packed.onnx.gz",)),
        "text.nnet": (b"// nothing\n1,2\n", ("text.nnet",)),
    }
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    return {name: words for name, (_, words) in files.items()}


def test_damaged_networks_are_refused_in_one_sentence_and_nothing_is_written(
    run: Run, tmp_path: Path
) -> None:
    old = tmp_path / "old.onnx"
    old.write_text("old")
    for name, words in _damaged(tmp_path).items():
        before = sorted(path.name for path in tmp_path.iterdir())
        options = ["-o", "old.onnx", "--report", "r.json", "--partition", "p.json"]
        run("lump", name, *options).assert_refused(name, *words)
        run("info", name).assert_refused(name, *words)
        run("convert", name, "old.onnx").assert_refused(name, *words)
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert old.read_text() == "old"


def test_an_output_that_cannot_be_written_is_named(run: Run, wide: Network, tmp_path: Path) -> None:
    run("lump", "wide.nnet", "--report", "no/such/r.json").assert_refused("no/such")
    run("lump", "wide.nnet", "-o", "no/such/n.nnet").assert_refused("no/such")
    assert [path.name for path in tmp_path.iterdir()] == ["wide.nnet"]


@pytest.mark.parametrize(
    ("name", "hidden", "parameters"),
    [
        ("tll/tllBench_n=2_N=M=8_m=1_instance_0_0.onnx", [386, 188], [17295, 2685]),
        ("tll/tllBench_n=2_N=M=16_m=1_instance_1_0.onnx", [1546, 647], [267815, 27232]),
        ("twin/twin_ladder-5_inp-5_layers-5_width-1_margin.onnx", [60, 0], [621, 6]),
        ("misc/nnenum_bug_issue7.onnx", [600, 400], [52110, 24160]),
    ],
)
def test_a_published_network_shrinks_and_runs_alike(
    run: Run,
    shared_file: Callable[[str], Path],
    name: str,
    hidden: list[int],
    parameters: list[int],
) -> None:
    pytest.importorskip("onnxruntime")
    path = str(shared_file(f"networks/{name}"))
    result = run("lump", path, "-o", "small.onnx", "--exact-weights", "--compare", "20", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    lumping = result.document["lumping"]
    sizes = [lumping["before"], lumping["after"]]
    assert [size["hidden_neurons"] for size in sizes] == hidden
    assert [size["parameters"] for size in sizes] == parameters
    assert lumping["weights"]["rounded"] == 0
    assert float(lumping["comparison"]["largest_difference"]) < 1e-3
    assert formats.read("small.onnx").hidden_neurons == hidden[1]


@pytest.mark.parametrize(
    "name", ["misc/mnist10x10.nnet", "misc/cifar_base_kw.onnx", "mnistfc/mnist-net_256x2.onnx"]
)
def test_a_trained_network_is_irreducible_and_that_is_no_error(
    run: Run, shared_file: Callable[[str], Path], name: str
) -> None:
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")
    result = run("lump", str(shared_file(f"networks/{name}")))
    assert result.exit_code == 0
    assert "  irreducible: every layer's neurons are pairwise distinguishable\n" in result.stdout
    assert "hold exactly in all" in result.stdout


def test_joins_of_a_residual_network_are_named_as_barriers(
    run: Run, shared_file: Callable[[str], Path]
) -> None:
    pytest.importorskip("onnx")
    path = str(shared_file("networks/misc/resnet_2b.onnx"))
    result = run("lump", path, "--kind", "proportional")
    assert result.exit_code == 0
    assert result.stdout.count("Join: branches that are added: their inside is not examined") == 2
    assert "before Join" in result.stdout
    as_graph = run("lump", path, "--json").document["lumping"]
    assert as_graph["irreducible"]
    assert not as_graph["barriers"]


def test_a_graph_is_lumped_compared_written_and_verified(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from lumpability.networks.graph.examples import residual

    network = residual()
    (tmp_path / "net.onnx").write_bytes(network.to_bytes())
    options = ["-o", "small.onnx", "--compare", "5", "--certificate", "c.json", "--json"]
    found = run("lump", "net.onnx", *options).document["lumping"]
    assert (found["before"]["parameters"], found["after"]["parameters"]) == (98, 34)
    assert float(found["comparison"]["largest_difference"]) == 0
    verify = ["verify", "c.json", "net.onnx", "--quotient"]
    assert "accepted" in run(*verify, "small.onnx").stdout
    assert run(*verify, "net.onnx").exit_code == 1
    assert run("info", "small.onnx").exit_code == 0


def test_another_type_reaches_the_inside_of_joins(
    run: Run, shared_file: Callable[[str], Path]
) -> None:
    pytest.importorskip("onnx")
    path = str(shared_file("networks/misc/resnet_2b.onnx"))
    assert run("lump", path, "--dtype", "float64", "--exact-weights", "-o", "d.onnx").exit_code == 0
    layers = formats.read("d.onnx").layers
    assert {str(v.dtype) for layer in layers for v in layer.parameters.values()} == {"float64"}


def test_every_file_of_the_layer_zoo_passes_through_all_commands(
    run: Run, shared: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    files = sorted((shared / "networks" / "layer-zoo").glob("*.onnx"))
    if not files:
        pytest.skip("the layer zoo is not here")
    for path in files:
        out = ["-o", "small.onnx", "--partition", "p.json"]
        for arguments in (
            ["lump", str(path), *out],
            ["check", str(path), "p.json"],
            ["info", "small.onnx", "--json"],
            ["convert", str(path), "again.onnx.gz"],
        ):
            result = run(*arguments)
            assert (result.exit_code, result.stderr) == (0, ""), arguments


def test_the_factors_of_a_proportional_chain_lumping_are_in_the_json(
    run: Run, tmp_path: Path
) -> None:
    from lumpability import CTMC

    rates = {("a", "c"): 1, ("b", "c"): "3/2", ("c", "a"): 2}
    formats.write(CTMC.from_rates(rates, labels={"goal": ["c"]}), tmp_path / "c.json")
    found = run("lump", "c.json", "--kind", "proportional", "--json").document["lumping"]
    assert found["kappa"] == ["1", "1", "3/2"]  # in the order of the states: a, c, b
    assert run("lump", "c.json", "--json").document["lumping"]["kappa"] is None


def test_units_of_a_graph_are_named_by_nodes_in_every_command(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from lumpability.networks.graph.examples import residual

    (tmp_path / "net.onnx").write_bytes(residual().to_bytes())
    assert run("lump", "net.onnx", "--partition", "classes.json").exit_code == 0
    assert run("check", "net.onnx", "classes.json").exit_code == 0
    (tmp_path / "wrong.json").write_text('[["b:0", "b:1"]]')
    names = [f"{layer}:{k}" for layer in "ab" for k in range(8)] + ["y:0", "y:1"]
    rest = [[name] for name in names if name not in {"b:0", "b:1"}]
    (tmp_path / "wrong.json").write_text(json.dumps([["b:0", "b:1"], *rest]))
    refuted = run("check", "net.onnx", "wrong.json")
    assert refuted.exit_code == 1
    assert "b:0 and b:1" in refuted.stdout
    assert "are together" in run("explain", "net.onnx", "a:0", "a:4", "--html", "why.html").stdout
    assert "leave together with" in run("info", "net.onnx").stdout


@pytest.mark.parametrize(
    "option", [("--kind", "proportional"), ("--dtype", "float16"), ("--antiparallel",)]
)
def test_an_option_for_layers_says_what_the_graph_would_lose(
    run: Run, tmp_path: Path, option: tuple[str, ...]
) -> None:
    pytest.importorskip("onnx")
    from lumpability.networks.graph.examples import residual

    (tmp_path / "net.onnx").write_bytes(residual().to_bytes())
    run("lump", "net.onnx", "--html", "p.html").assert_refused("--kind proportional")
    found = run("lump", "net.onnx", *option, "--html", "p.html")
    assert found.exit_code == 0
    assert "without options for layers, 8 of 16 units leave the graph" in found.stdout
    document = run("lump", "net.onnx", *option, "--json").document
    assert document["lumping"]["graph"]["hidden_neurons"] == 8
    assert document["model"]["class"] == "Network"
    assert document["lumping"]["weights"]["new"] == (98 if "float16" in option else 34)
    network = formats.read("net.onnx")
    assert "the layers alone" in lump(network, kind="exact").result


def test_weights_of_another_program_come_back_under_its_names(run: Run, tmp_path: Path) -> None:
    tensors: Any = pytest.importorskip("safetensors.numpy")
    first = np.float32([[1, 2], [2, 4], [3, -1]])
    arrays = {"net.1.weight": first, "net.1.bias": np.float32([1, 2, 0])}
    arrays |= {"net.3.weight": np.float32([[1, 1, 1], [1, 2, 3]])}
    tensors.save_file(arrays, tmp_path / "pm.safetensors")
    layers = ["--layers", "net.1:relu,net.3"]
    assert run("lump", "pm.safetensors", *layers, "-o", "small.safetensors").exit_code == 0
    found = tensors.load_file(tmp_path / "small.safetensors")
    shapes = {"net.1.weight": (2, 2), "net.1.bias": (2,), "net.3.weight": (2, 2)}
    assert {name: array.shape for name, array in found.items()} == shapes
    assert found["net.1.weight"].tolist() == [[1, 2], [3, -1]]
    plain, named = (
        formats.read("small.safetensors", layers=how)
        for how in (None, [("net.1", "relu"), ("net.3", None)])
    )
    assert plain.exact(["1/3", 2]).tolist() == named.exact(["1/3", 2]).tolist()
    run("lump", "pm.safetensors").assert_refused("--layers")
    assert "did you mean 'relu'" in run("lump", "pm.safetensors", "--layers", "net.1:Relu").stderr
