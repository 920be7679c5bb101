"""The losses of U-Net training, each for every clip by itself: (B,) float32."""
