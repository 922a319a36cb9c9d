"""Measuring: start targets and generators, give them cores, read what they use, stop them.

Leaves its findings with `bench.store`; must not know how they are analysed or shown.
"""
