"""What the agent reads about its device from /proc, /sys and the device tree."""
