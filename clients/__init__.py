"""The load generator: one epoll loop that loads any HTTP/1.1 server and judges its own measurement.

Shares nothing with `servers`: a parser used on both sides would hide its own bugs.
"""
