"""What the benchmarks share. `make bench` runs the scripts beside this folder, not what lies in it."""
