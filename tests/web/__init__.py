"""Tests of what a browser shows: a package, so that they can share one browser."""
