"""The storages that filepipe ships; it finds them, and anybody else's, by their entry points."""
