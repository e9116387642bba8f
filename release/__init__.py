"""What is made of the project for a release: wheel, sdist, bundle, registry entry, and the proof that they work."""
