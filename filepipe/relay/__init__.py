"""The kernel's data plane: large bodies do not pass through Python.

They go socket → file → socket (`moves`), or from one socket to several (`passage`). It sees
descriptors and sizes only, no HTTP and no channels. `filepipe.web.pumps` and `filepipe.web.direct`
decide with `Plane.takes` and hand over; everything else takes the asyncio path, with the same
meaning.
"""
