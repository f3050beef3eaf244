"""The player: a lumping as one HTML page that plays it step by step.  See `page`."""
