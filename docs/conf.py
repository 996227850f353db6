"""How Sphinx makes a site of these pages and of the docstrings (see CONTRIBUTING.md)."""

import os
import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.inspect import signature, stringify_signature

# Docstrings are read from the modules, which import TensorFlow: its messages are not for a reader.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from spade_tf import __version__

project = "spade-tf"
author = "the authors of spade-tf"
version = release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# A test runs the notebook; the site shows what it stored.
nb_execution_mode = "off"

default_role = "code"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Call arguments", "params_style"), ("Reference", "notes_style")]

html_theme = "furo"
html_title = f"spade-tf {__version__}"
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False


def _sections(app, what, name, obj, options, lines: list[str]) -> None:
    """`Reference: TEXT` of our docstrings as a section, as Napoleon takes one."""
    for place, line in enumerate(lines):
        if match := re.match(r"(\s*)Reference: (.+)", line):
            indent, text = match.groups()
            rest = []
            while place + 1 < len(lines) and lines[place + 1].strip():
                rest.append(f"{indent}    {lines.pop(place + 1).strip()}")
            lines[place : place + 1] = [f"{indent}Reference:", f"{indent}    {text}", *rest, ""]


def _signature(app, what, name, obj, options, arguments, returned):
    """The arguments of a constructor, where Keras's `__new__` says `*args, **kwargs` alone."""
    if what != "class" or arguments != "(*args, **kwargs)":
        return None
    made = signature(obj.__init__, bound_method=True)
    return stringify_signature(made, show_return_annotation=False, unqualified_typehints=True), ""


def _links(app, docname: str, source: list[str]) -> None:
    """On GitHub, pages lead to a file beside the folder; on the site, to the page made of it."""
    source[0] = source[0].replace("](../CONTRIBUTING.md)", "](contributing.md)")


def _inline_math(translator, node) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _math(translator, node) -> None:
    translator.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Registers what Sphinx lacks: formulas that browsers draw without a script, and sections."""
    app.add_html_math_renderer("mathml", (_inline_math, None), (_math, None))
    app.connect("source-read", _links)
    app.connect("autodoc-process-signature", _signature)
    # Before Napoleon, which is connected with the usual priority.
    app.connect("autodoc-process-docstring", _sections, priority=100)
