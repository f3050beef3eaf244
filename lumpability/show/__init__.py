"""Ways to show models and results.

`text` for tables, `pictures` for SVG, DOT and TikZ, `plots` for matplotlib, `player` for the page that plays a
lumping step by step; `displays` is what notebooks get.
"""
