"""Parts that pages are put together from; each escapes what it is given."""
