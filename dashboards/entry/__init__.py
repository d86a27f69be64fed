"""The script that Streamlit runs, in a folder of its own: Streamlit puts that folder before all others to import from."""
