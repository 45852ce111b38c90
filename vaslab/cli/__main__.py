"""`python -m vaslab.cli`, for launchers that take a module: `accelerate launch -m vaslab.cli study ...`."""

from vaslab.cli.app import main

main()
