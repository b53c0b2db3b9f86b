"""Tests with PyTorch and the frameworks around it."""
