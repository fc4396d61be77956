"""`python -m diffrun_testkit` serves the Hub: the one thing here that runs by itself."""

from diffrun_testkit.hub import main

main()
