"""The page at `/`, for people: rendered here, readable without scripts, styles or a mouse."""
