"""Settings: their fields, their sources, and the forms of their values."""
