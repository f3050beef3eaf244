"""Certificates restated for proof assistants."""
