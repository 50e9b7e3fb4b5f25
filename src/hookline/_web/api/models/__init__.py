"""What goes over the wire: the names and types that the official clients know.

One module per resource; a resource with few models of its own has them beside its router.
"""
