"""``python -m crosscorrect``."""

from crosscorrect.cli import main

if __name__ == "__main__":
    main(prog_name="crosscorrect")
