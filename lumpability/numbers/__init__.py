"""Exact numbers: rationals, integers, rational functions of parameters, and arrays of them."""
