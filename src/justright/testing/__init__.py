"""For contributors and for users' own tests: networks with known verdicts, and laws that every diagnostic keeps."""
