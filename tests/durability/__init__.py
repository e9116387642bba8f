"""A model of callers, processes and Contit. No run is lost or doubled in any order of events, except as in `history`."""
