"""The notebook of one run, as it stands: the paper's protocol on Indian Pines."""

from ..study import Study

STUDIES = {Study(): True}
