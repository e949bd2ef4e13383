"""The fused CPU backend: Numba over pixels, vectors over channels or space. Imported only where it is chosen."""
