"""What serves the pages: `python -m dashboards.server [OPTION of streamlit run …] -- LAKE`.

Everything that a first visitor would wait for is brought in before the port answers: pages, charts, the desk and what it reads with.
What was brought in stays: it is taken out of what Python's garbage collector looks through, which Streamlit calls after every run of a
page, and which would keep the process from sending that page for a tenth of a second.
"""

import gc
import sys
from importlib import import_module
from pathlib import Path

from dashboards.pages import desk_at

_FIRST_NEEDED = ("altair", "pandas", "streamlit.dataframe_util", "streamlit.elements.arrow", "streamlit.web.bootstrap")


def main(words: list[str]) -> None:
    """Warm up, and then be `streamlit run` with these words."""
    for name in _FIRST_NEEDED:
        import_module(name)
    desk_at(words[-1]).warm()
    from streamlit.web.cli import main as streamlit

    gc.collect()
    gc.freeze()
    sys.argv = ["streamlit", "run", str(Path(__file__).parent / "entry" / "app.py"), *words]
    streamlit()


if __name__ == "__main__":
    main(sys.argv[1:])
