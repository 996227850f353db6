"""From trained networks to what is served."""
