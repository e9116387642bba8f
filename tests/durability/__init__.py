"""A model of callers, processes and Contit: in any order of calls, crashes and faults no run is lost or doubled."""
