"""Where bytes rest: what a storage must do, how one is found, and the wrappers around it."""
