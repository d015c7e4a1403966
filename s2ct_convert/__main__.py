"""``python -m s2ct_convert`` is ``s2ct``."""

from .cli import main

if __name__ == "__main__":
    main()
