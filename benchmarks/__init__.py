"""How fast it is, as ratios to the same work done by others in the same run: `make bench`, docs/performance.md."""
