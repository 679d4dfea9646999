"""Rules about files: what may be moved out of the way when its owner is dead."""
