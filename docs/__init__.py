"""The documentation: pages of Markdown, and `made`, which makes the rest of them of the program."""
