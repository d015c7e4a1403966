"""A page that shows a Zarr store in the browser: the server of ``s2ct view``, and its export as static files.

The page itself is in ``page/``, made from the sources in ``web/`` (``make page``). It reads the store over HTTP.
"""
