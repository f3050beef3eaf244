"""Torch modules as graphs: torch's exporter makes the graph, and what stays of it goes back into a module.

`export` asks the exporter and runs module and graph side by side, `state` says which entries of which parameters stay,
`shrunken` puts them into a copy of the module, and `lumping` is what ``lump(module, example)`` returns.
"""
