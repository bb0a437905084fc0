"""`/usr/bin/python3 bench/suite --help`: the figures of bench/README.md; see run.py."""
import os
import sys

sys.dont_write_bytecode = True
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from suite.run import main  # noqa: E402

sys.exit(main())
