import sys

from naja.memray.commands import main

if __name__ == "__main__":
    sys.exit(main())
