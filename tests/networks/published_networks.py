"""The published networks that tests read, where the folder with them is beside the checkout."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[3] / "shared" / "networks"
NAMES = {
    "acasxu": [
        "ACASXU_experimental_v2a_1_1.nnet",
        "ACASXU_run2a_1_1_batch_2000.onnx",
        "ACASXU_run2a_2_2_batch_2000.onnx",
        "ACASXU_run2a_5_9_batch_2000.onnx",
    ],
    "layer-zoo": [
        "add.onnx",
        "batchnorm.onnx",
        "cast_int_to_float.onnx",
        "constant.onnx",
        "conv.onnx",
        "dropout.onnx",
        "dropout_training_mode_false.onnx",
        "dropout_training_mode_true.onnx",
        "flatten.onnx",
        "gemm.onnx",
        "identity.onnx",
        "leakyRelu.onnx",
        "matmul.onnx",
        "maxpool.onnx",
        "relu.onnx",
        "reshape.onnx",
        "reshape_with_dimension_inference.onnx",
        "sigmoid.onnx",
        "squeeze.onnx",
        "squeeze_with_axes.onnx",
        "sub.onnx",
        "tanh.onnx",
        "transpose.onnx",
        "unsqueeze.onnx",
    ],
    "misc": [
        "cifar_base_kw.onnx",
        "cifar_deep_kw.onnx",
        "coav_0.0459990501404s_UNSAT.nnet",
        "mnist10x10.nnet",
        "nnenum_bug_issue7.onnx",
        "resnet_2b.onnx",
        "test_nano.onnx",
        "test_small.onnx",
        "test_tiny.onnx",
    ],
    "mnistfc": [
        "mnist-net_256x2.onnx",
        "mnist-net_256x4.onnx",
    ],
    "tll": [
        "tllBench_n=2_N=M=16_m=1_instance_1_0.onnx",
        "tllBench_n=2_N=M=24_m=1_instance_2_0.onnx.gz",
        "tllBench_n=2_N=M=32_m=1_instance_3_0.onnx.gz",
        "tllBench_n=2_N=M=64_m=1_instance_7_0.onnx.gz",
        "tllBench_n=2_N=M=8_m=1_instance_0_0.onnx",
        "tllBench_n=2_N=M=8_m=1_instance_0_1.onnx",
    ],
    "twin": [
        "twin_ladder-10_inp-4_layers-5_width-1_margin.nnet",
        "twin_ladder-25_inp-5_layers-25_width-1_margin.onnx",
        "twin_ladder-5_inp-5_layers-5_width-1_margin.onnx",
    ],
}


def published_files(*suffixes: str) -> list[Path]:
    """Return the files of these names that are there."""
    paths = (FOLDER / folder / name for folder, names in NAMES.items() for name in names)
    return [path for path in paths if path.name.endswith(suffixes) and path.is_file()]
