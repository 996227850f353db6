"""The study command: a page that asks people which of two pictures they prefer, and the answers."""
