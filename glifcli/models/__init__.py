"""Networks of spiking neurons, by name. Importing this package imports no torch."""
