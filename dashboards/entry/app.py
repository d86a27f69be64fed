"""Run by `streamlit run app.py -- LAKE`: draws what the address names."""

import sys

from dashboards.pages import main

main(sys.argv[1])
