"""Ways to show models and results.

`text` has tables, `pictures` SVG, DOT and TikZ, `plots` matplotlib, `explanations` HTML pages of explanations;
`displays` has the displays in notebooks.
"""
