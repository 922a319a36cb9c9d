"""Clients of slow documents: one small file for each concurrency model, to be read side by side.

Each downloads every document, and they differ in how they wait only. What is sent, what comes and
how long it took is noted in `document` and `arrivals`, which know no sockets.
"""
