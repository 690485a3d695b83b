"""What a reader counts where it has a `metrics_port`, and where that can be read."""
