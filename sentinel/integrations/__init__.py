"""What is written into other programs' own configuration, and taken out again."""
