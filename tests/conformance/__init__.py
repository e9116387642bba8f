"""The official conformance suite, against our own server and against ours with the suite's fixtures on it."""
