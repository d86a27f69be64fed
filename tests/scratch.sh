#!/usr/bin/env bash
# Prints the folder below which tests make their lakes: memory where there is enough of it, since most of a test's time is
# waiting for a disk to flush what the test throws away. Tests of full and read-only disks mount their own.
set -uo pipefail
needed_kib=$((6 * 1024 * 1024))
free_kib=$(df --output=avail /dev/shm 2>/dev/null | tail -1)
[ -w /dev/shm ] && [ "${free_kib:-0}" -ge "$needed_kib" ] && echo /dev/shm || echo "${TMPDIR:-/tmp}"
