"""Serves Tryton until standard input ends: the test run that started it can be killed and leaves nothing behind.

python serve.py -c trytond.conf
"""

import os
import sys
import threading

from trytond.cli import main


def leave_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=leave_with_parent, daemon=True).start()
sys.exit(main())
