"""Tests of `ioc convert`."""
