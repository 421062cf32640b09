"""What must outlive the process, in one SQLite file: which uploads there are and what is stored."""
