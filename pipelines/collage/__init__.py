"""Label maps become collages: canvases that are composed of pieces of training pictures."""
