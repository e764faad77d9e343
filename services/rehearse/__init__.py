"""Rehearsals: scenarios as data, run as fast as the machine allows, with a verdict.

``scenario`` reads what is played and what should happen, ``events`` makes the records, ``target``
is the system they go to, ``conduct`` plays them step by step and keeps what the view shows
(``tape``), ``rules`` evaluates the shipped alert rules over that with promtool, and ``verdict``
compares.
"""
