"""A local Contit to try and test against. Imports nothing from the rest of the package."""
