"""Sessions that say of themselves that they are there, and what they call their own."""
