"""Small stand-ins of ComfyUI's modules, for tests of the nodes: what the nodes use, and no more.

They differ as two versions of ComfyUI do: OLD is 0.3.64, NEW is 0.33.0 (the later line of numbers).
"""
