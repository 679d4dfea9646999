"""The pure heart: facts in, verdicts and actions out. No clock, no kernel, no library."""
