"""MediaPipe's networks for faces and hands, as its 0.10.14 runs them.

finder: a frame -> boxes of faces or palms; regions: from a box or from landmarks to the part of
the frame that a landmark network gets; mesh, hands: landmarks; following: from frame to frame.
"""
