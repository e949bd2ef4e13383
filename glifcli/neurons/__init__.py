"""Neurons: what is learned, and the constants it makes. Importing this package imports no torch."""
