"""A local Contit to try and test against; imports nothing from the rest of the package."""
