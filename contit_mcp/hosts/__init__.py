"""Hosts: where each keeps its servers, how an entry of ours looks there, and how it is added and removed."""
