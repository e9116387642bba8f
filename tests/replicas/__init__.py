"""Replicas as they are deployed: real processes with a real Redis behind a real nginx, which runs the shipped example.

The tests of `durability` try every order of events in virtual time. These add what that model lacks: signals, sockets,
a proxy, a Redis that restarts. `nginx` and `fleet` run programs, `hosts` ask as real hosts do, `evidence` judges what
happened, and `scene` puts all of it together.
"""
