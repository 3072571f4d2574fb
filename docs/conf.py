"""How Sphinx makes the site; `python -m docs.made` calls it with what is staged in `docs/_build/source`."""

from flnb import __version__

project = "flnb"
author = "the authors of flnb"
release = version = __version__
html_title = f"flnb {version}"

extensions = ["myst_nb", "sphinx.ext.autodoc", "docs.made.docstrings"]
root_doc = "docs/index"
highlight_language = "text"  # what is indented without a language is for a terminal, or a picture
suppress_warnings = [
    "misc.highlighting_failure",  # sketches with … in them are shown without colours
]

# Markdown as the repository's own reader shows it: headings have anchors, nothing else is added.
myst_enable_extensions: list[str] = []
myst_heading_anchors = 4
myst_linkify_fuzzy_links = False

nb_execution_mode = "off"  # `docs.made.notebooks` has executed them
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = ""
html_static_path = ["site"]
html_css_files = ["flnb.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0a6c74", "color-brand-content": "#0a6c74"},
    "dark_css_variables": {"color-brand-primary": "#6fd3dc", "color-brand-content": "#6fd3dc"},
}
