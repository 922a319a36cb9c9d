"""The harness: measure, store, analyse, present.

It starts servers and generators as processes and knows them only by their command lines.
"""
