"""HTTP: connections and their limits, the two pumps, the fronts and their routes."""
