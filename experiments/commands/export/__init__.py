"""The export command: SavedModels and LiteRT files."""
