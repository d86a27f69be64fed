"""Data quality: what the records of a day should be like, counted exactly; plain functions over the lake."""
