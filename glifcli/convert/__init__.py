"""Weights from elsewhere as models of ours, and ours for elsewhere."""
