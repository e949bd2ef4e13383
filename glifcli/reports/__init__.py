"""What a network does: accuracy, firing, operations, energy, gates; as tables, plots and documents."""
