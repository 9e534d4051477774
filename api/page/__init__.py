"""The page that partners look at: rendered on the server and whole without script; views come from stored documents."""
