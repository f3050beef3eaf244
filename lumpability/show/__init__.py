"""Ways to show models and results.

`text` for tables, `pictures` for SVG, DOT and TikZ, `plots` for matplotlib, `explanations` for pages that say why;
`displays` is what notebooks get.
"""
