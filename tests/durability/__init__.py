"""A run is never lost and never doubled: any order of calls, crashes and faults against a model."""
