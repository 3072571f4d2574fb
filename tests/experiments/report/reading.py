"""Reads a report as a program would: its tables, its numbers with all digits, its words."""

from html.parser import HTMLParser


class Report(HTMLParser):
    """Tables by caption; a cell is the exact number in it, or its text."""

    def __init__(self, path):
        super().__init__()
        self.markup = path.read_text(encoding="utf-8")
        self.tables, self.tags, self.addresses, self.text = {}, [], [], []
        self._caption, self._cell, self._number, self._taking = "", None, None, False
        self.feed(self.markup)

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        self.tags.append(tag)
        self.addresses += [told[name] for name in ("src", "href", "action") if name in told]
        if tag == "figcaption":
            self._caption, self._taking = "", True
        elif tag == "table":
            self.rows = self.tables.setdefault(self._caption, [])
        elif tag == "tr" and self.rows is not None:
            self.rows.append([])
        elif tag in {"td", "th"}:
            self._cell, self._number = "", None
        elif tag == "data" and self._cell is not None and self._number is None:
            self._number = float(told["value"] or "nan")

    rows = None

    def handle_endtag(self, tag):
        if tag == "figcaption":
            self._taking = False
        elif tag == "table":
            self.rows = None
        elif tag in {"td", "th"} and self.rows:
            self.rows[-1].append(self._cell if self._number is None else self._number)
            self._cell = None

    def handle_data(self, data):
        self.text.append(data)
        if self._taking:
            self._caption += data
        if self._cell is not None:
            self._cell += data

    def table(self, begins):
        """The rows of the table whose caption begins so, by the heads of its columns."""
        (found,) = [rows for caption, rows in self.tables.items() if caption.startswith(begins)]
        heads, *rows = found
        return [dict(zip(heads, row, strict=True)) for row in rows]
