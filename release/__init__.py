"""Scripts that build a release (wheel, sdist, bundle, answer card, registry entry) and check that it works."""
