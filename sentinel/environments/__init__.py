"""The dev environment of a project: what it is, starting it, stopping it, and saying how it is."""
