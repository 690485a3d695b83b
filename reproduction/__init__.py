"""The matter of the SUSY tutorial: its data, its model and the numbers it claims."""
