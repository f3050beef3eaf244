"""Networks as graphs: a network is the graph of its ONNX file, and reducing it edits that graph.

One pass over the graph (`analysis`) finds for every tensor which units leave together and which have values that are
multiples of each other, by exact rules of the operators (`lumpability.networks.operators`).  `plan` decides at the
readers which units leave, `edit` changes constants and nothing else, `prove` numbers both graphs in one free algebra
and compares their outputs, and `reduce` does one after the other.  The mathematics is on the page on networks
as graphs.
"""
