"""Replicas as they are deployed: real processes behind a real nginx, which runs the shipped example, with a real Redis.

What the tests of `durability` hold for every order of events in virtual time is held here against what cannot be
modelled: signals, sockets, a proxy, a Redis that restarts. The modules: `nginx` and `fleet` run things, `hosts` ask as
real hosts do, `evidence` judges what happened, `scene` is all of it together.
"""
