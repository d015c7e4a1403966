"""Settings of the site: ``make docs`` builds it into build/site. The pages are Markdown that a forge shows too."""

from __future__ import annotations

import inspect
import logging
import os
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "scripts")]

import numpydoc.xref  # noqa: E402
import reference  # noqa: E402
from jupyter_client import KernelManager  # noqa: E402
from sphinx.ext.autodoc.mock import _MockObject  # noqa: E402

import s2ct_convert  # noqa: E402
import s2ct_convert.torch  # noqa: E402

reference.write_site_pages(DOCS / "commands")

project = "s2ct"
version = release = s2ct_convert.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "sphinx_copybutton", "sphinx_external_toc"]
exclude_patterns = ["commands/_*", "**/.ipynb_checkpoints"]
external_toc_path = "toc.yml"
highlight_language = "text"
smartquotes = False  # it makes one dash of the two of an option

# Links to headings, by the names that a forge gives them. A link that leads nowhere is a warning, and so an error.
myst_heading_anchors = 4
myst_links_external_new_tab = False

# The build runs the notebook, which has no results in the repository. A cell that raises is an error of the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds for each cell
nb_merge_streams = True
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the kernel: on a busy machine, threads wait for each other
logging.getLogger("traitlets").setLevel(logging.WARNING)  # it says which kernel runs
if hasattr(KernelManager, "transport_encryption"):  # jupyter_client 8.10, with an ipykernel that warns without it
    KernelManager.transport_encryption.default_value = "auto"

# The API: numpydoc docstrings. PyTorch is imported by one class only, so the site needs none.
autodoc_mock_imports = ["torch"]
_MockObject.__setitem__ = lambda self, key, value: None  # a class may be registered with torch
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the sections Parameters and Returns have the types, in words
add_module_names = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc.xref.DEFAULT_LINKS.clear()  # they lead to the pages of Python, which a build without a network cannot read
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {
    **{name: f"s2ct_convert.{name}" for name in s2ct_convert.__all__ if name[0].isupper()},
    **{
        name: f"s2ct_convert.errors.{name}"
        for one in reference.exit_codes()
        for name in one.errors
        if name not in s2ct_convert.__all__
    },
    **{
        name.rpartition(".")[2]: f"s2ct_convert.{name}"
        for name in (
            "croissant.write.CroissantFolder",
            "pictures.preview.Preview",
            "reading.epoch.Item",
            "reading.select.Observation",
            "reading.select.SelectedSample",
            "record.events.FileDone",
            "record.events.FileFailed",
            "units.entries.UnitEntry",
            "units.events.UnitFailed",
            "verify.against.Comparison",
            "verify.findings.Finding",
            "verify.sources.SourceReport",
            "verify.store.StoreReport",
        )
    },
}

# Nothing is loaded from another host: no fonts, scripts or pictures.
html_theme = "furo"
html_title = f"s2ct {release}"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["style"]
html_css_files = ["site.css"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Classes that users call. All others are made by s2ct, and how is of no use to a reader.
CALLED = {"Band", "Dataset", "EpochShare", "Features", "S2ctError", "SampleDataset", "ShuffledDataset"}


def _readable(app, what, name, obj, options, signature, returns):  # type: ignore[no-untyped-def]
    """A signature for readers, without what Python prints as ``<...>``: the default data set, a function."""
    if not signature:
        return None
    if what in ("class", "exception") and name.rpartition(".")[2] not in CALLED:
        return "", None
    if signature == "(*args, **kwargs)":  # a class of torch, which is not here
        own = inspect.signature(obj.__init__)
        parameters = [one.replace(annotation=inspect.Parameter.empty) for one in own.parameters.values()]
        signature = str(own.replace(parameters=parameters[1:], return_annotation=inspect.Signature.empty))
    signature = re.sub(r"<Dataset [^>]*>", "DATASET", signature)
    return re.sub(r"<function (?:[\w.]|<\w+>)+(?: at \w+)?>", "...", signature), returns


def _show_changelog(app, name, source):  # type: ignore[no-untyped-def]
    """CHANGELOG.md as the page ``changelog``, with links as from docs/, and without those to pages of a forge."""
    if name == "changelog":
        text = (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8")
        text = re.sub(r"^\[[^]]+\]: \.\./\.\./.*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^## \[([^]]+)\]", r"## \1", text, flags=re.MULTILINE)
        source[0] = text.replace("](docs/", "](")


def setup(app):  # type: ignore[no-untyped-def]
    app.connect("source-read", _show_changelog)
    app.connect("autodoc-process-signature", _readable)
