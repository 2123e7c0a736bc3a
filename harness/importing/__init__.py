"""Import of datasets: recognize, extract and verify them, and put them under version control."""
