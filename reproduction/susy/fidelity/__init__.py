"""How near the synthetic SUSY rows come to real ones: measures, and a page that shows them."""
