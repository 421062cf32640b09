"""The kernel's data plane: large bodies go socket → file → socket without passing through Python.

It sees descriptors and sizes only, no HTTP and no channels. `filepipe.web.pumps` decides with
`plane.suitable` and hands over; everything else takes the asyncio path, with the same meaning.
"""
