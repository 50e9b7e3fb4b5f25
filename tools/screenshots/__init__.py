"""The pictures of the pages in docs/images: a server with made-up data, and a browser's walk."""
