"""The files of logs: what was acknowledged is there after any crash, whole and in order."""
