"""Scheduled work: Dagster jobs, schedules and checks, each a thin layer over what `jobs.LakeJobs` does."""
