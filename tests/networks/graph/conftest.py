"""Tests of graphs build ONNX models and run them: without these packages there is nothing to collect."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("onnx") and find_spec("onnxruntime") else ["*.py"]
