"""What our worker is measured against. The programs here run in an environment of their own."""
