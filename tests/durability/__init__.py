"""A model of callers, processes and Contit. In any order of events no run is lost or doubled, except as in `history`."""
