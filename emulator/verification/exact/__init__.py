"""Exact values of small systems: no simulation, and nothing of the engines.

`solve.of_scenario` solves a scenario, `cases.EXACT` holds cases with their values, and
`python -m emulator.verification.exact` prints them.
"""
