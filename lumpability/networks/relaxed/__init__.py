"""Relaxed lumpings of networks: reduced on a region, or nearly, with certified bounds.  See `derive`."""
