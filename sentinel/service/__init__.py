"""Sentinel as a service of its user: what it tells the manager that started it."""
