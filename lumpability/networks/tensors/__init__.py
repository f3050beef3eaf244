"""The graph of an ONNX file and what is known of its tensors: constants, shapes, labels and values."""
